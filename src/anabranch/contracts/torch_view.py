"""Distributions of ours, for what takes objects of `torch.distributions`."""

from typing import Any, Protocol

import torch
from torch import Generator, Size, Tensor
from torch.distributions import Distribution, constraints

from anabranch.contracts.domain import Domain, Integers, Interval


class Evaluates(Protocol):
    """What is needed of a distribution."""

    event_shape: tuple[int, ...]
    domain: Domain

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density of points."""
        ...

    def rsample(
        self,
        sample_shape: int | tuple[int, ...] = (),
        context: Tensor | None = None,
        generator: Generator | None = None,
    ) -> Tensor:
        """Draws with gradients."""
        ...


class TorchView(Distribution):
    r"""A distribution at a context as an object of `torch.distributions`.

    It has ``log_prob``, ``sample`` and ``rsample``, gradients included, and shares its parameters.

    Args:
        distribution: of ours, without component axis.
        context: (\*batch_shape, \*context_shape), or None.
        batch_shape: the leading shape of the context.
    """

    has_rsample = True

    def __init__(
        self, distribution: Evaluates, context: Tensor | None, batch_shape: tuple[int, ...]
    ) -> None:
        self.distribution, self.context = distribution, context
        super().__init__(Size(batch_shape), Size(distribution.event_shape), validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """None: it has no parameters of its own."""
        return {}

    @property
    def support(self) -> Any:
        """Where points live, as torch says it."""
        domain, inner = self.distribution.domain, constraints.real
        if isinstance(domain, Interval) and domain.length < float("inf"):
            inner = constraints.interval(domain.lower, domain.upper)
        elif isinstance(domain, Interval) and domain.lower > -float("inf"):
            inner = constraints.greater_than_eq(domain.lower)
        elif isinstance(domain, Integers):
            inner = (
                constraints.integer_interval(0, domain.levels - 1)
                if domain.levels
                else constraints.integer_interval(-(2**53), 2**53)
            )
        return constraints.independent(inner, len(self.event_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density, of the shape of value without its event."""
        return self.distribution.log_prob(value, self.context)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draws, (*sample_shape, *batch_shape, *event_shape), with gradients."""
        return self.distribution.rsample(tuple(sample_shape), self.context)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws without gradients."""
        with torch.no_grad():
            return self.rsample(sample_shape)
