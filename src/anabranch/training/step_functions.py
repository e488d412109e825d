"""Functions of the step, for `ScheduledBuffer`. Their public attributes are their settings."""

import math

import torch


class ExponentialDecay:
    r"""A function of the step: :math:`\max(v_0 e^{-r t}, v_{\min})`.

    Example:
        >>> decay = ExponentialDecay(1.0, rate=1e-3, floor=0.01)
        >>> decay(0), round(decay(1000), 4), decay(10**9)
        (1.0, 0.3679, 0.01)
    """

    def __init__(self, start: float, *, rate: float, floor: float) -> None:
        if rate < 0 or floor <= 0 or start < floor:
            raise ValueError(
                f"need rate >= 0 and start >= floor > 0, got {start=}, {rate=}, {floor=}"
            )
        self.start, self.rate, self.floor = start, rate, floor
        self._log_start = torch.tensor(start, dtype=torch.float64).log().item()

    def __call__(self, step: int) -> float:
        """The value at a step."""
        # in logs, so that no step underflows
        exponent = max(self._log_start - self.rate * step, -700.0)
        return max(torch.tensor(exponent, dtype=torch.float64).exp().item(), self.floor)


class RampUp:
    r"""A function of the step that rises from almost 0 to 1: :math:`e^{-5 (1 - \min(t / L, 1))^2}`.

    Source: Laine, Aila (2017), "Temporal ensembling for semi-supervised learning",
    arXiv:1610.02242.

    Example:
        >>> ramp = RampUp(100)
        >>> round(ramp(0), 4), round(ramp(50), 4), ramp(100), ramp(10**9)
        (0.0067, 0.2865, 1.0, 1.0)
    """

    def __init__(self, length: int) -> None:
        if length < 1:
            raise ValueError(f"length must be at least 1 step, got {length}")
        self.length = length

    def __call__(self, step: int) -> float:
        """The value at a step."""
        return math.exp(-5.0 * (1.0 - min(step / self.length, 1.0)) ** 2)


class Annealing:
    r"""The inverse temperature at a step: :math:`\beta_t = \min(1, \beta_0 + t / T)`.

    Source: Rezende, Mohamed (2015), arXiv:1505.05770, with :math:`\beta_0 = 0.01` and T = 10000.

    Example:
        >>> annealing = Annealing(100, start=0.01)
        >>> annealing(0), round(annealing(50), 2), annealing(1000)
        (0.01, 0.51, 1.0)
    """

    def __init__(self, length: float, *, start: float = 0.01) -> None:
        if not (length > 0 and 0 < start <= 1):
            raise ValueError(f"need length > 0 and 0 < start <= 1, got {length=}, {start=}")
        self.length, self.start = length, start

    def __call__(self, step: int) -> float:
        """The value at a step."""
        return min(1.0, self.start + step / self.length)


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
