"""Numbers that are halved every so often: standard deviations' bounds, and the learning rate."""

import math
from typing import Any

import torch

from anabranch.training.schedules import Schedule

# Pixels of the images for which a first bound of 1 was found.
REFERENCE_FEATURES = 784


class Halving:
    r"""A function of the step: :math:`\max(v_0\, 2^{-\lfloor t / T \rfloor}, v_{\min})`.

    Args:
        start: the first value.
        every: T, steps between two halvings.
        floor: the last value.

    Raises:
        ValueError: for fewer than one step, or not start >= floor > 0.

    Example:
        >>> halving = Halving(1.0, every=100, floor=1e-4)
        >>> halving(99), halving(100), halving(10**9)
        (1.0, 0.5, 0.0001)
    """

    def __init__(self, start: float, *, every: int, floor: float) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1 step, got {every}")
        if not start >= floor > 0:
            raise ValueError(f"need start >= floor > 0, got {start=}, {floor=}")
        self.start, self.every, self.floor = start, every, floor

    def __call__(self, step: int) -> float:
        """The value at a step."""
        return max(math.ldexp(self.start, -(step // self.every)), self.floor)


def first_std(features: int) -> float:
    r"""A first bound of standard deviations for D features: :math:`\min(1, \sqrt{D / 784})`.

    The log-likelihood of a row is a sum over features, and its prior one over the latent ones. A
    bound that holds hundreds of pixels back would silence a few columns for good.

    Example:
        >>> first_std(784), round(first_std(64), 3)
        (1.0, 0.286)
    """
    return min(1.0, math.sqrt(features / REFERENCE_FEATURES))


def std_annealing(
    steps: int, *, first: float = 1.0, last: float = 1e-4, share: float = 0.8
) -> Halving:
    r"""Anneal the bound of standard deviations over a run of known length.

    The bound falls from the first to the last value in equal stages, each half of the one before,
    and rests at the last one for what remains. The published schedule is ``Halving(1.0,
    every=100 * steps_per_epoch, floor=1e-4)``, about 1400 epochs.

    Source: Li, Zhao, Xu, Chen, Xu, Li, Pei (2021), "Unsupervised clustering through Gaussian
    mixture variational autoencoder with non-reparameterized variational inference and std
    annealing".

    Args:
        steps: of the whole run.
        first: the bound at the start, see `first_std`.
        last: the bound at the end.
        share: of the steps that pass before the last value.

    Raises:
        ValueError: for no steps, a share outside (0, 1], or not first >= last > 0.

    Example:
        >>> bound = std_annealing(1000, first=1.0, last=0.1)
        >>> [bound(t) for t in (0, 200, 400, 600, 800)]
        [1.0, 0.5, 0.25, 0.125, 0.1]
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share}")
    if not first >= last > 0:
        raise ValueError(f"need first >= last > 0, got {first=}, {last=}")
    stages = max(1, math.ceil(math.log2(first / last) - 1e-9))
    return Halving(first, every=max(1, int(share * steps / stages)), floor=last)


class RateHalving(Schedule):
    """Halves the learning rate every so many steps, at the evaluation that follows.

    Args:
        every: steps between two halvings.

    Raises:
        ValueError: for fewer than one step.

    Example:
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        >>> schedule = RateHalving(10)
        >>> schedule.on_step(24)
        >>> schedule.on_evaluation(0.0, optimizer)
        >>> optimizer.param_groups[0]["lr"]
        0.25
    """

    name = "learning_rate"

    def __init__(self, every: int) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1 step, got {every}")
        self.every, self.taken, self.halvings, self.value = every, 0, 0, float("nan")

    def on_step(self, step: int) -> None:
        """Count the steps."""
        self.taken = step + 1

    def on_evaluation(self, score: float, optimizer: torch.optim.Optimizer) -> None:
        """Set the rate of the following steps; what a rollback halved stays halved."""
        due = self.taken // self.every
        for group in optimizer.param_groups:
            group["lr"] = math.ldexp(group["lr"], self.halvings - due)
        self.halvings, self.value = due, float(optimizer.param_groups[0]["lr"])

    def state_dict(self) -> dict[str, Any]:
        """Steps taken, halvings done and value; the learning rate itself is the optimizer's."""
        return {"taken": self.taken, "halvings": self.halvings, "value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        self.taken, self.halvings, self.value = state["taken"], state["halvings"], state["value"]
