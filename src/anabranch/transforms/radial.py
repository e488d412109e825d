"""Radial flows: expand or contract around a centre."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from anabranch.contracts.transform import Transform
from anabranch.functional import expand_batch
from anabranch.functional.shapes import Shape
from anabranch.networks.amortised import Amortised
from anabranch.transforms.scalar import ScalarMap

# The least size of the radius alpha, and of the slope at the centre.
FLOOR = 1e-3
ORIGIN = math.log(math.expm1(1 - FLOOR))  # softplus of it is 1 - FLOOR


class Radial(Transform):
    r"""Scale the distance to a centre, by s close to it and by 1 far away.

    .. math:: z = c + (1 + (s - 1)\, t)(x - c), \qquad t = \frac{\alpha}{\alpha + \|x - c\|}

    .. math:: \mathrm{term} = (D - 1) \log(1 + (s - 1)\, t) + \log(1 + (s - 1)\, t^2)

    This is the map :math:`x + \beta (x - c) / (\alpha + r)` of the paper with
    :math:`\beta = \alpha (s - 1)`, invertible where :math:`s > 0`. Contrary to what is often
    said its inverse is in closed form: the radius solves the quadratic equation
    :math:`r^2 + (s \alpha - \rho)\, r - \rho\, \alpha = 0` with :math:`\rho = \|z - c\|`.

    Source: Tabak, Turner (2013), doi:10.1002/cpa.21423; Rezende, Mohamed (2015),
    arXiv:1505.05770.

    Args:
        features: D.
        context_features: size of the context; with one, an MLP of it gives c, :math:`\alpha`, s.
        hidden: hidden sizes of that MLP.
        batch_shape: the component axis.
        generator: source of the initial centre and radius; the map starts at s = 1, the identity.

    Example:
        >>> radial = Radial(1)
        >>> radial.set_parameters(torch.zeros(1), alpha=torch.tensor(1.0), scale=torch.tensor(3.0))
        >>> z, term = radial.encode(torch.tensor([[1.0]]))
        >>> z.detach().round(decimals=4), term.detach()
        (tensor([[2.]]), tensor([0.4055]))
    """

    def __init__(
        self,
        features: int,
        *,
        context_features: int = 0,
        hidden: Sequence[int] = (64,),
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape, context_shape=context_features)
        centre = torch.randn(*batch_shape, features + 1, 1, generator=generator)
        self.parameters_of = Amortised(
            torch.cat((centre, torch.zeros(*batch_shape, 1, 1)), -2),
            context_features=context_features,
            hidden=hidden,
            batch_shape=batch_shape,
            generator=generator,
        )

    @torch.no_grad()
    def set_parameters(self, centre: Tensor, alpha: Tensor, scale: Tensor) -> None:
        r"""Set a map without context.

        Args:
            centre: (\*batch_shape, D).
            alpha: (\*batch_shape,), the radius, more than 0.001.
            scale: (\*batch_shape,), s, more than 0.001.

        Raises:
            ValueError: where alpha or scale is too small.
        """
        raw = torch.stack(raw_parameters(alpha, scale), -1)
        self.parameters_of.free.copy_(torch.cat((centre, raw), -1).unsqueeze(-1))

    def _split(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Centre, alpha and s, as columns."""
        centre, alpha, scale = self.parameters_of.columns(context).split(
            (*self.event_shape, 1, 1), -2
        )
        return centre, *_positive(alpha, scale)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        centre, alpha, scale = self._split(context)
        offset = expand_batch(x, self.batch_shape, 1).mT - centre
        stretch, slope = _stretch(_length(offset), alpha, scale)
        return (centre + stretch * offset).mT, self._term(stretch, slope)

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        centre, alpha, scale = self._split(context)
        offset = expand_batch(z, self.batch_shape, 1).mT - centre
        stretch, slope = _stretch(_inverse_radius(_length(offset), alpha, scale), alpha, scale)
        return (centre + offset / stretch).mT, -self._term(stretch, slope)

    def _term(self, stretch: Tensor, slope: Tensor) -> Tensor:
        """Each direction across the radius is stretched, and the radius has the slope."""
        return ((self.event_shape[0] - 1) * stretch.log() + slope.log()).squeeze(-2)


@dataclass(frozen=True)
class LocalExpansion(ScalarMap):
    r"""The radial map of one number: :math:`z = c + (1 + (s - 1)\, t)(x - c)`.

    .. math:: t = \frac{\alpha}{\alpha + |x - c|}, \qquad
        \log\frac{dz}{dx} = \log(1 + (s - 1)\, t^2)

    It expands (s > 1) or contracts the line around c and keeps it elsewhere; both directions are
    in closed form, see `Radial`.

    Source: Tabak, Turner (2013), doi:10.1002/cpa.21423.

    Example:
        >>> params = torch.zeros(3, 1)  # centre, raw alpha, raw scale
        >>> LocalExpansion().encode(torch.tensor([2.0]), params)[0]
        tensor([2.])
    """

    @property
    def n_params(self) -> int:
        """Three: centre, raw alpha and raw scale."""
        return 3

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Stretch the distance to the centre."""
        centre, alpha, scale = params[0], *_positive(params[1], params[2])
        offset = x - centre
        stretch, slope = _stretch(offset.abs(), alpha, scale)
        return centre + stretch * offset, slope.log()

    def decode(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Find the distance that was stretched."""
        centre, alpha, scale = params[0], *_positive(params[1], params[2])
        offset = z - centre
        radius = _inverse_radius(offset.abs(), alpha, scale)
        stretch, slope = _stretch(radius, alpha, scale)
        return centre + offset / stretch, -slope.log()


def raw_parameters(alpha: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """The raw parameters that give this radius and scale; zero gives scale 1.

    Raises:
        ValueError: where alpha or scale is not more than 0.001.

    Example:
        >>> raw_parameters(torch.tensor([1.0]), torch.tensor([1.0]))[1].abs() < 1e-6
        tensor([True])
    """
    for name, value in (("alpha", alpha), ("scale", scale)):
        if not bool((value > FLOOR).all()):
            raise ValueError(f"{name} must be more than {FLOOR}, got {value.tolist()}")
    return _inverse_softplus(alpha - FLOOR), _inverse_softplus(scale - FLOOR) - ORIGIN


def _positive(alpha: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Radius and scale of their raw parameters."""
    return FLOOR + softplus(alpha), FLOOR + softplus(scale + ORIGIN)


def _stretch(radius: Tensor, alpha: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """How much the radius is stretched, and the slope of the stretched radius."""
    near = alpha / (alpha + radius)
    return 1 + (scale - 1) * near, 1 + (scale - 1) * near.square()


def _inverse_radius(length: Tensor, alpha: Tensor, scale: Tensor) -> Tensor:
    """The radius that is stretched to this length: the root of the quadratic, uncancelled."""
    b = scale * alpha - length
    root = torch.sqrt(b.square() + 4 * length * alpha)
    return torch.where(b > 0, 2 * length * alpha / (root + b.abs()), 0.5 * (root - b))


def _length(offset: Tensor) -> Tensor:
    """The norm of columns, (*batch, 1, N); its gradient at zero is zero."""
    return torch.linalg.vector_norm(offset, dim=-2, keepdim=True)


def _inverse_softplus(y: Tensor) -> Tensor:
    return y + torch.log(-torch.expm1(-y))
