"""Distributions on circles and spheres."""

import math

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.distribution import Distribution
from anabranch.contracts.domain import CIRCLE, Sphere
from anabranch.functional import bounded, expand_batch
from anabranch.functional.draws import vmf_height
from anabranch.functional.shapes import Shape
from anabranch.functional.sphere import (
    log_kent_integral,
    log_surface,
    log_vmf_integral,
    tangent_basis,
    unit,
)


class UniformSphere(Distribution):
    r"""The uniform distribution of unit vectors: :math:`p(x) = \Gamma(D/2) / (2 \pi^{D/2})`.

    Args:
        features: D, at least 2.
        batch_shape: the component axis.

    Example:
        >>> UniformSphere(3).log_prob(torch.tensor([[0.0, 0.0, 1.0]])).exp() * 4 * torch.pi
        tensor([1.0000])
    """

    domain = Sphere()
    shared_buffers = ("anchor",)
    anchor: Tensor

    def __init__(self, features: int, *, batch_shape: Shape = ()) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        self.register_buffer("anchor", torch.zeros(()), False)  # knows the dtype and the device

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        return torch.full_like(x[..., 0], -log_surface(x.shape[-1]))

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        shape = (*self.batch_shape, n, *self.event_shape)
        noise = torch.randn(
            shape, generator=generator, dtype=self.anchor.dtype, device=self.anchor.device
        )
        return unit(noise)


class VonMisesFisher(Distribution):
    r"""Unit vectors around a direction, the normal distribution of the sphere.

    .. math:: p(x) = C_D(\kappa)\, e^{\kappa\, \mu \cdot x}

    Written by :math:`\kappa (\mu \cdot x - 1) = -\kappa |x - \mu|^2 / 2`, so that narrow ones keep
    their digits. Draws carry gradients of the direction only.

    Args:
        features: D, 2, 3 or 4.
        concentration: :math:`\kappa` at first.
        bound: how far the log of the concentration may be from there.
        batch_shape: the component axis.
        generator: source of the directions.

    Raises:
        ValueError: for other sizes, or a concentration that is not positive.

    Source: Mardia, Jupp (2000), "Directional statistics"; draws: Wood (1994).

    Example:
        >>> vmf = VonMisesFisher(3, concentration=2.0, generator=torch.Generator().manual_seed(0))
        >>> vmf.sample(5).shape
        torch.Size([5, 3])
    """

    domain = Sphere()

    def __init__(
        self,
        features: int,
        *,
        concentration: float = 1.0,
        bound: float = 12.0,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        if features not in (2, 3, 4):
            raise ValueError(f"features must be 2, 3 or 4, got {features}")
        if not (concentration > 0 and bound > 0):
            raise ValueError(
                f"concentration and bound must be positive, got {concentration} and {bound}"
            )
        self.start, self.bound = math.log(concentration), bound
        noise = torch.randn(*batch_shape, 1, features, generator=generator)
        self.direction = nn.Parameter(unit(noise))
        self.log_concentration = nn.Parameter(torch.zeros(*batch_shape, 1))

    @property
    def concentration(self) -> Tensor:
        r""":math:`\kappa`, (\*batch_shape, 1)."""
        return (self.start + bounded(self.log_concentration, self.bound)).exp()

    @torch.no_grad()
    def set_parameters(self, direction: Tensor, concentration: Tensor) -> None:
        """Set the directions (*batch_shape, D) and the concentrations (*batch_shape,).

        Raises:
            ValueError: for a concentration that is out of its bound.
        """
        share = (concentration.double().log() - self.start) / self.bound
        if not bool((share.abs() < 1).all()):
            low, high = (math.exp(self.start + sign * self.bound) for sign in (-1, 1))
            raise ValueError(
                f"concentration must be between {low:g} and {high:g}, got {concentration.tolist()}"
            )
        self.direction.copy_(unit(direction).unsqueeze(-2))
        self.log_concentration.copy_((self.bound * torch.atanh(share)).unsqueeze(-1))

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        kappa = self.concentration
        square = (expand_batch(x, self.batch_shape, 1) - unit(self.direction)).square().sum(-1)
        return -kappa * square / 2 - log_vmf_integral(kappa, x.shape[-1])

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        (features,) = self.event_shape
        mu = unit(self.direction)
        kappa = self.concentration.detach().expand(*self.batch_shape, n)
        above = vmf_height(kappa, features, generator)  # 1 - cos of the angle to mu
        shape = (*self.batch_shape, n, features - 1)
        around = torch.randn(shape, generator=generator, dtype=mu.dtype, device=mu.device)
        side = (above * (2 - above)).clamp_min(0).sqrt().unsqueeze(-1) * unit(around)
        tilt = (tangent_basis(mu) @ side.unsqueeze(-1)).squeeze(-1)
        return unit(mu * (1 - above).unsqueeze(-1) + tilt)


class VonMises(Distribution):
    r"""Angles around a direction, each on its own.

    .. math:: p(\theta) = \prod_d \frac{e^{\kappa_d \cos(\theta_d - \mu_d)}}{2 \pi I_0(\kappa_d)}

    `VonMisesFisher` of unit vectors in the plane, written as angles from 0 to 2 pi.

    Args:
        features: D, angles.
        concentration: :math:`\kappa` at first.
        bound: how far the log of a concentration may be from there.
        batch_shape: the component axis.
        generator: source of the directions.

    Example:
        >>> VonMises(generator=torch.Generator().manual_seed(0)).sample(5).shape
        torch.Size([5, 1])
    """

    domain = CIRCLE

    def __init__(
        self,
        features: int = 1,
        *,
        concentration: float = 1.0,
        bound: float = 12.0,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        self.plane = VonMisesFisher(
            2,
            concentration=concentration,
            bound=bound,
            batch_shape=(*batch_shape, features),
            generator=generator,
        )

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        angles = expand_batch(x, self.batch_shape, 1).mT
        vectors = torch.stack((angles.cos(), angles.sin()), -1)
        return self.plane._log_prob(vectors, context, generator).sum(-2)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        cosine, sine = self.plane._sample(n, context, generator).unbind(-1)
        return torch.atan2(sine, cosine).remainder(2 * torch.pi).mT


class Kent(Distribution):
    r"""Unit vectors of three numbers around a direction, in an ellipse.

    .. math:: p(x) \propto e^{\kappa (\gamma_1 \cdot x - 1)
        + \beta ((\gamma_2 \cdot x)^2 - (\gamma_3 \cdot x)^2)}, \qquad
        \kappa = \tfrac{a + b}2, \quad \beta = \tfrac{b - a}4

    Narrow ones are normal in the plane, with the precisions a along :math:`\gamma_2` and b along
    :math:`\gamma_3`. The integral is found by quadrature. Draws carry no gradients.

    Args:
        concentration: of a and b at first.
        bound: how far their logs may be from there.
        batch_shape: the component axis.
        generator: source of the directions.

    Raises:
        ValueError: for a concentration or bound that is not positive.

    Source: Kent (1982), "The Fisher-Bingham distribution on the sphere", Journal of the Royal
    Statistical Society B 44.

    Example:
        >>> Kent(concentration=9.0, generator=torch.Generator().manual_seed(0)).sample(5).shape
        torch.Size([5, 3])
    """

    domain = Sphere()

    def __init__(
        self,
        *,
        concentration: float = 1.0,
        bound: float = 12.0,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((3,), batch_shape=batch_shape)
        if not (concentration > 0 and bound > 0):
            raise ValueError(
                f"concentration and bound must be positive, got {concentration} and {bound}"
            )
        self.start, self.bound = math.log(concentration), bound
        self.axes = nn.Parameter(torch.randn(*batch_shape, 3, 3, generator=generator))
        self.log_precisions = nn.Parameter(torch.zeros(*batch_shape, 2, 1))

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        kappa, beta, frame = self._shape()
        x = expand_batch(x, self.batch_shape, 1)
        square = (x - frame[..., 0].unsqueeze(-2)).square().sum(-1)
        side = (x @ frame[..., 1:]).square()
        exponent = -kappa * square / 2 + beta * (side[..., 0] - side[..., 1])
        return exponent - log_kent_integral(kappa, beta)

    @torch.no_grad()
    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        """By rejection from the von Mises-Fisher distribution of the smaller precision."""
        kappa, beta, frame = self._shape()
        least = (kappa - 2 * beta.abs()).expand(*self.batch_shape, n)
        spread = beta.abs().expand(*self.batch_shape, n)
        x = torch.zeros(*self.batch_shape, n, 3, dtype=kappa.dtype, device=kappa.device)
        open_ = torch.ones_like(least, dtype=torch.bool)
        while bool(open_.any()):
            above = vmf_height(least, 3, generator)
            turn = 2 * torch.pi * torch.rand_like(above, generator=generator)
            side = (above * (2 - above)).clamp_min(0)
            # log p - log q is at most 0: -|b| s^2 + |b| s (2 - s) (cos 2t sign - 1)
            wave = (turn.cos().square() - turn.sin().square()) * beta.sign()
            margin = spread * (side * (wave - 1) - above.square())
            u = torch.rand_like(above, generator=generator)
            good = open_ & (u.log() <= margin)
            root = side.sqrt()
            drawn = torch.stack((1 - above, root * turn.cos(), root * turn.sin()), -1)
            x = torch.where(good.unsqueeze(-1), drawn, x)
            open_ = open_ & ~good
        return unit(x @ frame.mT)

    def _shape(self) -> tuple[Tensor, Tensor, Tensor]:
        """Concentration and ellipticity, (*batch_shape, 1), and the axes as columns."""
        a, b = (self.start + bounded(self.log_precisions, self.bound)).exp().unbind(-2)
        return (a + b) / 2, (b - a) / 4, torch.linalg.qr(self.axes)[0]
