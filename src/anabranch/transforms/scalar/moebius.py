"""Möbius maps of the circle."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from anabranch.contracts.domain import CIRCLE, Domain
from anabranch.functional.numbers import check_share, check_whole
from anabranch.functional.roots import find_root, implicit
from anabranch.transforms.scalar.base import ScalarMap

TURN = 2 * math.pi


@dataclass(frozen=True)
class Moebius(ScalarMap):
    r"""A convex combination of Möbius maps of the circle, then a rotation.

    .. math:: z = \sum_k \rho_k h_k(x) + \phi \bmod 2\pi, \qquad
        \frac{dz}{dx} = \sum_k \rho_k \frac{1 - |w_k|^2}{|e^{ix} - w_k|^2}

    Each :math:`h_k` carries the circle onto itself, gathers it around the direction of
    :math:`w_k`, |w| < 1, and is turned so that it keeps the angle 0. One of them alone makes of the
    uniform distribution a wrapped Cauchy distribution. ``decode`` searches the angle.

    Args:
        components: K.
        bound: the largest |w|.

    Raises:
        ValueError: for fewer than one component, or a bound outside of (0, 1).

    Source: Rezende et al. (2020), "Normalizing flows on tori and spheres", arXiv:2002.02428.

    Example:
        >>> moebius = Moebius(components=2)
        >>> params = torch.linspace(-1, 1, moebius.n_params).unsqueeze(-1)
        >>> z, _ = moebius.encode(torch.tensor([3.0]), params)
        >>> moebius.decode(z, params)[0].round(decimals=4)
        tensor([3.])
    """

    domain: ClassVar[Domain] = CIRCLE

    components: int = 4
    bound: float = 0.99

    def __post_init__(self) -> None:
        check_whole(self, ("components",), 1)
        check_share(self, ("bound",))

    @property
    def n_params(self) -> int:
        """The raw weights and both coordinates of w of the components, and the angle."""
        return 3 * self.components + 1

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Turn by the combination."""
        weights, u, v, angle = self._parts(params)
        z, slope = _risen(x, weights, u, v)
        return torch.remainder(z + angle, TURN), slope.log()

    def decode(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Search the angle in double precision, with exact gradients."""
        weights, u, v, angle = self._parts(params.double())
        target = torch.remainder(z.double() - angle, TURN)
        target = target.expand(torch.broadcast_shapes(target.shape, weights.shape[1:]))
        fixed = [part.detach() for part in (weights, u, v)]
        root = find_root(lambda x: _risen(x, *fixed)[0], target, lower=0.0, upper=TURN)
        slope = _risen(root, weights, u, v)[1]
        x = implicit(lambda x: _risen(x, weights, u, v)[0], root, target, slope)
        slope = _risen(x, weights, u, v)[1]
        return torch.remainder(x, TURN).to(z.dtype), -slope.log().to(z.dtype)

    def _parts(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights, w in two coordinates, and the angle."""
        k = self.components
        raw, u, v, angle = params.split([k, k, k, 1])
        shrink = self.bound / torch.sqrt(1 + u.square() + v.square())
        return torch.softmax(raw, 0), u * shrink, v * shrink, angle[0]


def _risen(x: Tensor, weights: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The combination without the rotation, from 0 at 0 to one turn at one turn, and its slope."""
    # arg h(x) = x - 2 arg(1 - conj(w) e^{ix}), less its value at 0; |w| < 1, so no branch is cut
    cos, sin = torch.cos(x), torch.sin(x)
    real, imaginary = 1 - u * cos - v * sin, v * cos - u * sin
    lag = torch.atan2(imaginary, real) - torch.atan2(v, 1 - u)
    slope = (1 - u.square() - v.square()) / (real.square() + imaginary.square())
    return x - (weights * 2 * lag).sum(0), (weights * slope).sum(0)
