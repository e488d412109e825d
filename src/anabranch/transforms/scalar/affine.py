"""Shifts and scales."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from anabranch.functional import bounded
from anabranch.functional.numbers import check_positive
from anabranch.functional.scales import check_law
from anabranch.transforms.scalar.base import ScalarMap


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
class Scale(ScalarMap):
    r"""A bounded scale without a shift, :math:`z = x\, e^{s},\; |s| < b`.

    Args:
        bound: the largest |log-scale| b.
        law: how the log-scale is bounded, as in `Affine`.

    Source: Dinh, Krueger, Bengio (2014), "NICE", arXiv:1410.8516, section 3.3.

    Example:
        >>> Scale().encode(torch.tensor([1.0]), torch.tensor([[0.0]]))
        (tensor([1.]), tensor([0.]))
    """

    bound: float = 5.0
    law: str = "tanh"

    def __post_init__(self) -> None:
        check_positive(self, ("bound",))
        check_law(self.law)

    @property
    def n_params(self) -> int:
        """One: the raw log-scale."""
        return 1

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Scale."""
        log_scale = bounded(params[0], self.bound, self.law)
        return x * log_scale.exp(), log_scale + torch.zeros_like(x)

    def decode(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the scale."""
        log_scale = -bounded(params[0], self.bound, self.law)
        return z * log_scale.exp(), log_scale + torch.zeros_like(z)


@dataclass(frozen=True)
class Affine(ScalarMap):
    r"""A shift and a bounded scale, :math:`z = x\, e^{s} + t,\; |s| < b`.

    Args:
        bound: the largest |log-scale| b of one map. Several maps multiply, so a small bound is
            enough, and no data can make the exponential overflow.
        law: how the raw log-scale r is bounded: "tanh", :math:`s = b \tanh(r / b)`; "softsign",
            :math:`r / (1 + |r| / b)`, far cheaper on a CPU; or "atan",
            :math:`\tfrac{2b}{\pi} \arctan \tfrac{\pi r}{2b}`.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), "Real NVP", arXiv:1605.08803.

    Example:
        >>> params = torch.tensor([[3.0], [0.0]])
        >>> Affine().encode(torch.tensor([1.0]), params)
        (tensor([4.]), tensor([0.]))
    """

    bound: float = 2.0
    law: str = "tanh"

    def __post_init__(self) -> None:
        check_positive(self, ("bound",))
        check_law(self.law)

    @property
    def n_params(self) -> int:
        """Two: shift and raw log-scale."""
        return 2

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift."""
        shift, raw = params.unbind(0)
        log_scale = bounded(raw, self.bound, self.law)
        z = torch.addcmul(shift, x, log_scale.exp())
        return z, _like(log_scale, z)

    def decode(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the shift, then the scale."""
        shift, raw = params.unbind(0)
        log_slope = -bounded(raw, self.bound, self.law)
        x = (z - shift) * log_slope.exp()
        return x, _like(log_slope, x)


@dataclass(frozen=True)
class GatedAffine(ScalarMap):
    r"""A gate between the number and another, :math:`z = g x + (1 - g) m`.

    The gate is :math:`g = \sigma(s + \mathrm{bias})`, with s softly clipped to ±b. This one is not
    the identity at parameters zero, but a contraction by :math:`\sigma(\mathrm{bias})`.

    Args:
        bias: of the gate; one or two keep it open at first.
        bound: the largest \|s\|.

    Source: Kingma et al. (2016), "Improving variational inference with inverse autoregressive
    flow", arXiv:1606.04934.

    Example:
        >>> z, log_slope = GatedAffine(bias=0.0).encode(torch.tensor([1.0]), torch.zeros(2, 1))
        >>> z, log_slope.exp()
        (tensor([0.5000]), tensor([0.5000]))
    """

    bias: float = 2.0
    bound: float = 5.0

    def __post_init__(self) -> None:
        check_positive(self, ("bound",))

    @property
    def n_params(self) -> int:
        """Two: the other number and the raw gate."""
        return 2

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the number with the other."""
        other, log_gate = self._parts(params)
        z = torch.lerp(other, x, log_gate.exp())
        return z, _like(log_gate, z)

    def decode(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the mixing."""
        other, log_gate = self._parts(params)
        x = other + (z - other) * torch.exp(-log_gate)
        return x, -_like(log_gate, x)

    def _parts(self, params: Tensor) -> tuple[Tensor, Tensor]:
        other, raw = params.unbind(0)
        return other, logsigmoid(bounded(raw, self.bound, "softsign") + self.bias)


def _like(log_slope: Tensor, moved: Tensor) -> Tensor:
    """The log-slopes at each number moved; a view costs, where they have that shape already."""
    return log_slope if log_slope.shape == moved.shape else log_slope.expand_as(moved)
