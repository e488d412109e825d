"""Fits in several processes: the same rows, the same settings and the same seed in all of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import joblib
from sklearn.utils import check_random_state

from anabranch.estimators.groups import GroupedSettings
from anabranch.estimators.rows import length
from anabranch.functional.numbers import is_whole
from anabranch.training.agreement import agreed_seed, check_alike
from anabranch.training.parallel import process_group

# Settings that may differ: where a process computes, what it shows, and the seed, see below.
FREE = ("device", "verbose", "verbose_interval", "random_state")


@contextmanager
def alike(
    estimator: GroupedSettings, args: Sequence[object], keywords: Mapping[str, object]
) -> Iterator[None]:
    """Make sure that all processes are about to do the same fit.

    Where ``random_state`` is no number, each process would draw another split and other starts: for
    the length of the block it is a seed that the first process has drawn.

    Args:
        estimator: to be fitted.
        args: of its ``fit``, data first.
        keywords: of its ``fit``.

    Raises:
        ValueError: in all processes, where rows, data or settings differ.
    """
    if process_group().size == 1:
        yield
        return
    settings = estimator.get_params(deep=False)
    given = settings.get("random_state")
    plain = {name: value for name, value in settings.items() if name not in FREE}
    check_alike(
        {
            "estimators": type(estimator).__name__,
            "numbers of rows": length(args[0]) if args else 0,
            "data": joblib.hash((list(args), dict(keywords))),
            "settings": joblib.hash(plain),
            "seeds": str(given) if is_whole(given) else "drawn",
        }
    )
    if "random_state" not in settings or is_whole(given):
        yield
        return
    drawn = int(check_random_state(given).randint(2**31 - 1))  # pyright: ignore - refused by name
    estimator.set_params(random_state=agreed_seed(drawn))
    try:
        yield
    finally:
        estimator.set_params(random_state=given)
