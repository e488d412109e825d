"""Scalar maps: what happens to one number, given its parameters.

A scalar map is a pair of pure functions and a count of parameters. A structure (`Elementwise`,
`Coupling`, `Autoregressive`) decides where the parameters come from, and never which map it is.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from anabranch.functional import bounded


@dataclass(frozen=True)
class ScalarMap(ABC):
    r"""A monotone map of the line with ``n_params`` parameters; the identity at parameters zero.

    ``params`` has shape (n_params, \*x.shape), or one that broadcasts to it.
    """

    @property
    @abstractmethod
    def n_params(self) -> int:
        """How many parameters one number needs."""

    @abstractmethod
    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Map x to z; return z and log|dz/dx|, elementwise."""

    @abstractmethod
    def decode(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Map z to x; return x and log|dx/dz|, elementwise."""


@dataclass(frozen=True)
class Additive(ScalarMap):
    r"""A shift, :math:`z = x + t`.

    Source: Dinh, Krueger, Bengio (2014), "NICE", arXiv:1410.8516.

    Example:
        >>> Additive().encode(torch.tensor([1.0]), torch.tensor([[2.0]]))
        (tensor([3.]), tensor([0.]))
    """

    @property
    def n_params(self) -> int:
        """One: the shift."""
        return 1

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Add the shift."""
        z = x + params[0]
        return z, torch.zeros_like(z)

    def decode(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Subtract the shift."""
        x = z - params[0]
        return x, torch.zeros_like(x)


@dataclass(frozen=True)
class Affine(ScalarMap):
    r"""A shift and a bounded scale, :math:`z = x\, e^{s} + t,\; s = b \tanh(r / b)`.

    Args:
        bound: the largest |log-scale| b of one map. Several maps multiply, so a small bound is
            enough, and no data can make the exponential overflow.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), "Real NVP", arXiv:1605.08803.

    Example:
        >>> params = torch.tensor([[3.0], [0.0]])
        >>> Affine().encode(torch.tensor([1.0]), params)
        (tensor([4.]), tensor([0.]))
    """

    bound: float = 2.0

    def __post_init__(self) -> None:
        if not self.bound > 0:
            raise ValueError(f"bound must be positive, got {self.bound}")

    @property
    def n_params(self) -> int:
        """Two: shift and raw log-scale."""
        return 2

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift."""
        shift, raw = params.unbind(0)
        log_scale = bounded(raw, self.bound)
        return torch.addcmul(shift, x, log_scale.exp()), log_scale

    def decode(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the shift, then the scale."""
        shift, raw = params.unbind(0)
        log_scale = bounded(raw, self.bound)
        return (z - shift) * torch.exp(-log_scale), -log_scale


@dataclass(frozen=True)
class PReLU(ScalarMap):
    r"""A slope :math:`\alpha = e^{b \tanh(r / b)} > 0` below zero, slope one above.

    The density has a jump at zero. The thesis leaves :math:`\alpha` unconstrained, which is not
    invertible where it becomes negative.

    Args:
        bound: the largest |log slope| b.

    Example:
        >>> PReLU().encode(torch.tensor([-1.0, 2.0]), torch.zeros(1, 2))
        (tensor([-1.,  2.]), tensor([0., 0.]))
    """

    bound: float = 3.0

    def __post_init__(self) -> None:
        if not self.bound > 0:
            raise ValueError(f"bound must be positive, got {self.bound}")

    @property
    def n_params(self) -> int:
        """One: the raw log slope."""
        return 1

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Multiply what is negative by the slope."""
        log_slope = torch.where(x < 0, bounded(params[0], self.bound), 0.0)
        return x * log_slope.exp(), log_slope

    def decode(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Divide what is negative by the slope."""
        log_slope = torch.where(z < 0, -bounded(params[0], self.bound), 0.0)
        return z * log_slope.exp(), log_slope
