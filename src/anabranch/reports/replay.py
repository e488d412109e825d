"""A fitted mixture as it was at the steps whose states it kept."""

import copy
from collections.abc import Iterator
from typing import Any


def replay(mixture: Any) -> Iterator[tuple[int, Any]]:
    """Give the step and the mixture as it was then, for each snapshot.

    One model serves all of them: a mixture answers for its step until the next one is taken.

    Args:
        mixture: Fitted with `snapshots`; it stays as it is.

    Raises:
        ValueError: Where it holds no snapshots.
    """
    snapshots = getattr(mixture, "snapshots_", None)
    if not snapshots:
        raise ValueError(
            "the mixture holds no snapshots of its training: fit it with snapshots=60, on the "
            "command line by fit --snapshots 60"
        )
    past = copy.copy(mixture)
    past.model_ = copy.deepcopy(mixture.model_)
    for step, state in snapshots:
        past.model_.load_state_dict(state)
        past.weights_ = past.model_.mixture.log_weights.detach().cpu().double().exp().numpy()
        yield step, past


def kept_step(mixture: Any) -> int | None:
    """The step of the state that the fit kept, where its records tell.

    >>> from types import SimpleNamespace as Object
    >>> history = [{"epoch": 0, "step": 0}, {"epoch": 5, "step": 20}]
    >>> kept_step(Object(fit_result_=Object(best_epoch=5), history_=history))
    20
    """
    best = getattr(getattr(mixture, "fit_result_", None), "best_epoch", None)
    found = [entry for entry in getattr(mixture, "history_", []) if entry.get("epoch") == best]
    return int(found[-1]["step"]) if best is not None and found else None


def held_out(mixture: Any, step: int | None) -> float | None:
    """Mean held-out log-density in nats at a step, where the history has it."""
    for entry in getattr(mixture, "history_", []):
        if entry.get("step") == step and "validation_nll" in entry:
            return -float(entry["validation_nll"])
    return None
