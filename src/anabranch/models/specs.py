"""Parts of a recipe from plain values: a name, or a dict with a name and keywords."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

Spec = str | dict[str, Any]


def parse_spec(
    kind: str, spec: Spec, makers: Mapping[str, Callable[..., Any]]
) -> tuple[str, dict[str, Any]]:
    """The name and the keywords of a spec, where its maker takes them.

    Keywords are the keyword-only arguments of a maker, but for ``generator``.

    Args:
        kind: what is made, for messages.
        spec: "name" or {"name": ..., keyword: value}.
        makers: functions by name.

    Raises:
        ValueError: for an unknown name, or sizes that are not positive integers.
        TypeError: for a spec that is neither a name nor a dict with one, or a keyword that is
            unknown or missing.

    Example:
        >>> def conv(features, *, channels=(16,)): ...
        >>> parse_spec("network", {"name": "conv", "channels": [8]}, {"conv": conv})
        ('conv', {'channels': [8]})
    """
    name, keywords = split_spec(kind, spec)
    if name not in makers:
        raise ValueError(f"{kind} must be one of {sorted(makers)}, got {name!r}")
    _check_keywords(kind, name, keywords, makers[name])
    for key in ("hidden", "channels", "strides"):
        if key in keywords:
            _check_sizes(kind, key, keywords[key])
    return name, keywords


def split_spec(kind: str, spec: Spec) -> tuple[str, dict[str, Any]]:
    """The name and the keywords of a spec, unchecked.

    Raises:
        TypeError: for a spec that is neither a name nor a dict with one.

    Example:
        >>> split_spec("flow", "maf")
        ('maf', {})
    """
    keywords = {"name": spec} if isinstance(spec, str) else spec
    if not isinstance(keywords, dict) or not isinstance(keywords.get("name"), str):
        raise TypeError(f"{kind} must be a name or a dict with a 'name', got {spec!r}")
    return keywords["name"], {key: value for key, value in keywords.items() if key != "name"}


def _check_keywords(
    kind: str, name: str, keywords: dict[str, Any], maker: Callable[..., Any]
) -> None:
    parameters = inspect.signature(maker).parameters.values()
    known = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "generator"]
    names = [p.name for p in known]
    unknown = [key for key in keywords if key not in names]
    if unknown:
        raise TypeError(
            f"{kind} {name!r} has no keyword {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(names)}"
        )
    missing = [p.name for p in known if p.default is p.empty and p.name not in keywords]
    if missing:
        raise TypeError(f"{kind} {name!r} needs {', '.join(missing)}")


def _check_sizes(kind: str, key: str, sizes: Any) -> None:
    listed = isinstance(sizes, list | tuple)
    if not listed or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError(f"{kind}'s {key} must be a list of positive integers, got {sizes!r}")
