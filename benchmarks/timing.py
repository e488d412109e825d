"""Interleaved timing: every contender takes its turn in every round on the same machine."""

import math
import time
from collections.abc import Callable
from statistics import median

import torch

Step = Callable[[], torch.Tensor]


def interleaved(steps: dict[str, Step], *, rounds: int = 9, repeats: int = 20) -> dict[str, float]:
    """Median process-CPU milliseconds of each step over all rounds.

    Raises:
        FloatingPointError: where a loss is not finite: NaN arithmetic looks fast.
    """
    for name, step in steps.items():
        for _ in range(5):
            check_finite(name, step())
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.process_time()
            for _ in range(repeats):
                loss = step()
            times[name].append((time.process_time() - start) / repeats * 1e3)
            check_finite(name, loss)
    return {name: median(values) for name, values in times.items()}


def check_finite(name: str, loss: torch.Tensor) -> None:
    if not math.isfinite(loss.item()):
        raise FloatingPointError(f"{name}: the loss is {loss.item()}")
