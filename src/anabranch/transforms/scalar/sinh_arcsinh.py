"""The sinh-arcsinh map: skewness, and tails of any weight."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from anabranch.functional import bounded
from anabranch.functional.numbers import check_positive
from anabranch.transforms.scalar.base import ScalarMap


@dataclass(frozen=True)
class SinhArcsinh(ScalarMap):
    r"""A power far out, of an exponent that is learned, and about a line near zero.

    .. math:: z = \sinh(\delta \operatorname{arsinh} x + \epsilon), \qquad
        \log\frac{dz}{dx} = \log\delta + \log\cosh(\delta \operatorname{arsinh} x + \epsilon)
        - \tfrac12 \log(1 + x^2)

    With :math:`\delta < 1` it draws in heavy tails, :math:`|z| \sim |x|^\delta`, and with
    :math:`\delta > 1` light ones out; :math:`\epsilon` skews.

    Args:
        log_bound: the largest \|log δ\|.
        bound: the largest \|ε\|.

    Raises:
        ValueError: for bounds that are not positive.

    Source: Jones, Pewsey (2009), "Sinh-arcsinh distributions", Biometrika 96.

    Example:
        >>> params = torch.tensor([[0.0], [0.5]])
        >>> z, _ = SinhArcsinh().encode(torch.tensor([3.0]), params)
        >>> SinhArcsinh().decode(z, params)[0]
        tensor([3.0000])
    """

    log_bound: float = 1.5
    bound: float = 3.0

    def __post_init__(self) -> None:
        check_positive(self, ("log_bound", "bound"))

    @property
    def n_params(self) -> int:
        """Two: raw log δ and ε."""
        return 2

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Stretch the arsinh, shift it, and take the sinh."""
        log_delta, shift = self._parts(params)
        a = torch.asinh(x)
        b = log_delta.exp() * a + shift
        return torch.sinh(b), log_delta + _log_cosh(b) - _log_cosh(a)

    def decode(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the sinh, the shift and the stretch."""
        log_delta, shift = self._parts(params)
        b = torch.asinh(z)
        a = (b - shift) * torch.exp(-log_delta)
        return torch.sinh(a), _log_cosh(a) - _log_cosh(b) - log_delta

    def _parts(self, params: Tensor) -> tuple[Tensor, Tensor]:
        return bounded(params[0], self.log_bound), bounded(params[1], self.bound)


def _log_cosh(t: Tensor) -> Tensor:
    t = torch.where(t < 0, -t, t)
    return t + softplus(-2 * t) - math.log(2)
