"""Numbers among settings, refused by name where they cannot be meant."""

import math
from collections.abc import Callable, Collection, Iterable
from numbers import Integral, Real
from typing import SupportsInt, TypeGuard


def check_whole(
    settings: object, names: Iterable[str], least: int, *, optional: bool = False
) -> None:
    """Settings that are integers of at least some number, or None where they are optional.

    True and False are no numbers here, nor are they below.

    Raises:
        ValueError: naming the first that is not.

    Example:
        >>> from types import SimpleNamespace
        >>> check_whole(SimpleNamespace(latent=2.5), ["latent"], 1)
        Traceback (most recent call last):
        ValueError: latent must be an integer of at least 1, got 2.5
    """

    def fits(value: object) -> bool:
        return is_whole(value) and int(value) >= least

    _check(settings, names, fits, f"an integer of at least {least}", optional=optional)


def check_positive(settings: object, names: Iterable[str], *, optional: bool = False) -> None:
    """Settings that are finite and above zero, or None where they are optional.

    Raises:
        ValueError: naming the first that is not.

    Example:
        >>> from types import SimpleNamespace
        >>> check_positive(SimpleNamespace(rate=None), ["rate"], optional=True)
        >>> check_positive(SimpleNamespace(rate="fast"), ["rate"])
        Traceback (most recent call last):
        ValueError: rate must be a positive number, got 'fast'
    """
    fits = lambda value: 0 < real(value) < math.inf  # noqa: E731
    _check(settings, names, fits, "a positive number", optional=optional)


def check_not_negative(settings: object, names: Iterable[str], *, optional: bool = False) -> None:
    """Likewise, zero included.

    Raises:
        ValueError: naming the first that is not.

    Example:
        >>> from types import SimpleNamespace
        >>> check_not_negative(SimpleNamespace(tol=-1.0), ["tol"])
        Traceback (most recent call last):
        ValueError: tol must be a number not below zero, got -1.0
    """
    fits = lambda value: 0 <= real(value) < math.inf  # noqa: E731
    _check(settings, names, fits, "a number not below zero", optional=optional)


def check_share(settings: object, names: Iterable[str]) -> None:
    """Settings strictly between 0 and 1.

    Raises:
        ValueError: naming the first that is not.

    Example:
        >>> from types import SimpleNamespace
        >>> check_share(SimpleNamespace(validation_fraction=1.0), ["validation_fraction"])
        Traceback (most recent call last):
        ValueError: validation_fraction must be in (0, 1), got 1.0
    """
    _check(settings, names, lambda value: 0 < real(value) < 1, "in (0, 1)")


def check_flag(settings: object, names: Iterable[str]) -> None:
    """Settings that are True or False.

    Raises:
        ValueError: naming the first that is not.

    Example:
        >>> from types import SimpleNamespace
        >>> check_flag(SimpleNamespace(hedge=1), ["hedge"])
        Traceback (most recent call last):
        ValueError: hedge must be True or False, got 1
    """
    for name in names:
        value = getattr(settings, name)
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, got {value!r}")


def check_choice(settings: object, name: str, allowed: Collection[object]) -> None:
    """A setting that is one of a few.

    Raises:
        ValueError: for any other.

    Example:
        >>> from types import SimpleNamespace
        >>> check_choice(SimpleNamespace(unit="hour"), "unit", ("step", "epoch"))
        Traceback (most recent call last):
        ValueError: unit must be one of ('step', 'epoch'), got 'hour'
    """
    value = getattr(settings, name)
    if not isinstance(value, str | None) or value not in allowed:
        raise ValueError(f"{name} must be one of {tuple(allowed)}, got {value!r}")


def check_components(n_components: object) -> None:
    """None, "auto" or a positive integer.

    Raises:
        ValueError: for anything else.

    Example:
        >>> check_components(0)
        Traceback (most recent call last):
        ValueError: n_components must be a positive integer, 'auto' or None, got 0
    """
    if n_components is None or (isinstance(n_components, str) and n_components == "auto"):
        return
    if not is_whole(n_components) or int(n_components) < 1:
        raise ValueError(
            f"n_components must be a positive integer, 'auto' or None, got {n_components!r}"
        )


def check_dict(settings: object, names: Iterable[str]) -> None:
    """Settings that are dicts of further ones, or None.

    Raises:
        ValueError: naming the first that is not.

    Example:
        >>> from types import SimpleNamespace
        >>> check_dict(SimpleNamespace(fit_options=[1]), ["fit_options"])
        Traceback (most recent call last):
        ValueError: fit_options must be a dict or None, got [1]
    """
    _check(settings, names, lambda value: isinstance(value, dict), "a dict", optional=True)


def check_sizes(name: str, sizes: object, *, empty: bool = False) -> None:
    """Sizes of layers: positive integers, at least one unless there may be none.

    Raises:
        ValueError: for anything else.

    Example:
        >>> check_sizes("hidden", 8)
        Traceback (most recent call last):
        ValueError: hidden must be positive integers, at least one, got 8
    """
    given = list(sizes) if isinstance(sizes, Iterable) and not isinstance(sizes, str) else [None]
    if not (given or empty) or not all(is_whole(size) and int(size) > 0 for size in given):
        least = "" if empty else ", at least one"
        raise ValueError(f"{name} must be positive integers{least}, got {sizes!r}")


def is_whole(value: object) -> TypeGuard[SupportsInt]:
    """Whether a setting is an integer.

    Example:
        >>> is_whole(3), is_whole(3.0), is_whole(True)
        (True, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def real(value: object) -> float:
    """The number that a setting is; NaN, which is in no range, for anything else.

    Example:
        >>> real(3), real("3"), real(True)
        (3.0, nan, nan)
    """
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan


def _check(
    settings: object,
    names: Iterable[str],
    fits: Callable[[object], bool],
    expected: str,
    *,
    optional: bool = False,
) -> None:
    for name in names:
        value = getattr(settings, name)
        if not (optional and value is None) and not fits(value):
            or_none = " or None" if optional else ""
            raise ValueError(f"{name} must be {expected}{or_none}, got {value!r}")
