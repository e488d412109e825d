"""What distributions have in common whose numbers are independent and of one known family."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Generator, Tensor

from anabranch.contracts.distribution import Distribution
from anabranch.functional import as_rows
from anabranch.functional.roots import find_root, implicit
from anabranch.functional.shapes import Shape

Value = float | Tensor


class Family(Distribution):
    r"""Independent numbers of one family with fixed parameters, a base for flows.

    .. math:: p(x) = \prod_d f(x_d; \theta_d)

    Elsewhere than on the domain the log-density is minus infinity. For parameters that are learned,
    put an `Elementwise` affine map before it. A subclass writes down ``_log_density`` and
    ``_sample``.

    Args:
        event_shape: D, or the shape of an image.
        parameters: numbers, or tensors that broadcast to the event shape; buffers by their names.
        positive: the names of those that must be positive.
        batch_shape: the component axis, whose members are alike.

    Raises:
        ValueError: for a parameter that does not broadcast to the event shape, is not finite, or
            not positive where it must be.
    """

    def __init__(
        self,
        event_shape: int | Shape,
        parameters: Mapping[str, Value],
        *,
        positive: tuple[str, ...] = (),
        batch_shape: Shape = (),
    ) -> None:
        super().__init__(event_shape, batch_shape=batch_shape)
        self.shared_buffers = tuple(parameters)
        for name, value in parameters.items():
            given = torch.as_tensor(value, dtype=torch.get_default_dtype())
            if not _fits(given.shape, self.event_shape):
                raise ValueError(
                    f"{name} must be a number or broadcast to {self.event_shape}, "
                    f"got shape {tuple(given.shape)}"
                )
            least = 0.0 if name in positive else -torch.inf
            if not bool(((given > least) & given.isfinite()).all()):
                kind = "positive and finite" if name in positive else "finite"
                raise ValueError(f"{name} must be {kind}, got {value}")
            self.register_buffer(name, given.clone())

    @abstractmethod
    def _log_density(self, x: Tensor) -> Tensor:
        """Of each number of points (..., *event) in the domain."""

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        inside = self.domain.contains(x)
        density = self._log_density(torch.where(inside, x, self._inner(x)))
        return as_rows(torch.where(inside, density, -torch.inf), self.event_shape).sum(-1)

    def _inner(self, x: Tensor) -> Tensor:
        """A point of the domain, of which gradients beside it are taken, and not used."""
        return torch.full_like(x, 0.5)

    def _uniform(self, n: int, generator: Generator | None) -> Tensor:
        """Numbers in (0, 1), of the shape of n events."""
        like = next(iter(self.buffers()))
        shape = (*self.batch_shape, n, *self.event_shape)
        u = torch.rand(shape, generator=generator, dtype=like.dtype, device=like.device)
        return u.clamp_min(torch.finfo(u.dtype).tiny)  # rand can return 0

    def _gamma(self, concentration: Tensor, n: int, generator: Generator | None) -> Tensor:
        """Standard gamma draws, of the shape of n events."""
        shape = (*self.batch_shape, n, *self.event_shape)
        drawn = torch._standard_gamma(  # pyright: ignore[reportPrivateImportUsage] - takes a generator
            concentration.expand(shape).contiguous(), generator
        )
        return drawn.clamp_min(torch.finfo(drawn.dtype).tiny)


class Searched(Protocol):
    """A family whose quantiles are searched."""

    def _log_density(self, x: Tensor) -> Tensor: ...

    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor: ...


def _fits(shape: Shape, event: Shape) -> bool:
    """Whether one shape broadcasts to another."""
    ends = event[len(event) - len(shape) :] if len(shape) <= len(event) else None
    return ends is not None and all(a in (1, b) for a, b in zip(shape, ends, strict=True))


def searched_icdf(family: Searched, u: Tensor, centre: Tensor) -> Tensor:
    """Quantiles of shares u by search around a point, with derivatives.

    Args:
        family: numbers with a ``cdf``.
        u: shares between 0 and 1.
        centre: broadcasts to them.
    """
    share, start = u.double(), centre.double()

    def cdf(x: Tensor) -> Tensor:
        return family._cdf(x, None)

    root = find_root(cdf, share, lower=start - 1, upper=start + 1)
    return implicit(cdf, root, share, family._log_density(root).exp()).to(u)
