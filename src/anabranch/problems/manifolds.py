"""Unnormalised densities on tori and spheres, and an arm whose tip is held."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

TORUS_MODES = ((0.21, 2.85), (1.89, 6.18), (3.77, 1.56))
SPHERE_MODES = ((1.5, 0.7), (1.0, -1.0), (5.0, 0.6), (4.0, -0.7))  # azimuth, latitude
LOG_TURN = math.log(2 * math.pi)


@dataclass(frozen=True)
class ManifoldTarget:
    r"""An unnormalised density whose integral is known.

    - "unimodal": :math:`e^{\cos(\theta_1 - 4.18) + \cos(\theta_2 - 5.96)}` on the torus;
    - "multimodal": the mean of three of that kind;
    - "correlated": :math:`e^{\cos(\theta_1 + \theta_2 - 1.94)}` on the torus;
    - "four": :math:`\sum_k e^{10\, x \cdot \mu_k}`, four modes on the sphere;
    - "two": :math:`\sum_k e^{10\, x \cdot \mu_k}`, two modes on the sphere in four dimensions.

    Args:
        name: one of these.

    Raises:
        ValueError: for another name.

    Source: Rezende et al. (2020), "Normalizing flows on tori and spheres", arXiv:2002.02428; the
    third mode of "four" as public code has it, since the paper's lies on no sphere.

    Example:
        >>> target = ManifoldTarget("correlated")
        >>> axis = torch.linspace(0, 2 * torch.pi, 101)[:-1]
        >>> mean = target.log_density(torch.cartesian_prod(axis, axis)).exp().mean()
        >>> bool(((mean * 4 * torch.pi**2).log() - target.log_z()).abs() < 1e-5)
        True
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in _LOG_DENSITIES:
            raise ValueError(f"name must be one of {list(_LOG_DENSITIES)}, got {self.name!r}")

    def log_density(self, x: Tensor) -> Tensor:
        """Log of the density, (...,) in nats, of angles (..., 2) or unit vectors."""
        return _LOG_DENSITIES[self.name](x)

    def log_z(self) -> float:
        """Log of its integral over the manifold, in closed form."""
        one = torch.tensor(1.0, dtype=torch.float64)
        bessel = torch.special.i0(one).log().item()
        if self.name in ("four", "two"):
            # the integral of exp(k x.mu) is 4 pi sinh(k) / k on S^2, and 4 pi^2 I_1(k) / k on S^3
            ball = {
                "four": math.log(4 * 4 * math.pi * math.sinh(10) / 10),
                "two": math.log(2 * 4 * math.pi**2 / 10) + torch.special.i1(10 * one).log().item(),
            }
            return ball[self.name]
        return 2 * LOG_TURN + (bessel if self.name == "correlated" else 2 * bessel)


@dataclass(frozen=True)
class Arm:
    r"""The angles of a planar arm of six equal links whose tip is near one of two places.

    .. math:: \log \tilde p(\theta) = \log \sum_m e^{-|t(\theta) - c_m|^2 / (2 \sigma^2)}, \qquad
        t = \ell \sum_{j \le 6} (\cos \phi_j, \sin \phi_j), \quad \phi_j = \sum_{i \le j} \theta_i

    Args:
        length: of a link.
        std: how far the tip may be, :math:`\sigma`.
        centres: where it should be.

    Source: Rezende et al. (2020), "Normalizing flows on tori and spheres", arXiv:2002.02428,
    section 4.1.

    Example:
        >>> Arm().tip(torch.zeros(1, 6))
        tensor([[1.2000, 0.0000]])
    """

    length: float = 0.2
    std: float = 0.1
    centres: tuple[tuple[float, float], ...] = ((0.7, 0.3), (-0.6, 0.4))

    def tip(self, angles: Tensor) -> Tensor:
        """Where the arm ends, (..., 2), for angles (..., 6) between one link and the next."""
        return self.joints(angles)[..., -1, :]

    def joints(self, angles: Tensor) -> Tensor:
        """Where its links end, (..., 6, 2)."""
        directions = angles.cumsum(-1)
        steps = torch.stack((directions.cos(), directions.sin()), -1)
        return self.length * steps.cumsum(-2)

    def log_density(self, angles: Tensor) -> Tensor:
        """Log of the density, (...,) in nats; not normalised."""
        centres = angles.new_tensor(self.centres)
        squares = (self.tip(angles).unsqueeze(-2) - centres).square().sum(-1)
        return torch.logsumexp(-squares / (2 * self.std**2), -1)

    def log_z(self, nodes: int = 4000) -> float:
        r"""Log of its integral over the angles, by a quadrature of the walk's Hankel transform.

        With all angles free the tip is a random walk of six steps, whose characteristic function
        is :math:`J_0(k \ell)^6`, so that

        .. math:: Z = (2 \pi)^6 \sum_m \int_0^\infty \sigma^2 k\, e^{-\sigma^2 k^2 / 2}
            J_0(k \ell)^6 J_0(k |c_m|)\, dk

        Args:
            nodes: of the quadrature.

        Example:
            >>> round(Arm().log_z(), 3)
            7.131
        """
        k = torch.linspace(0, 9 / self.std, nodes, dtype=torch.float64)
        weight = self.std**2 * k * torch.exp(-(self.std**2) * k.square() / 2)
        walk = weight * torch.special.bessel_j0(k * self.length) ** 6
        distances = torch.tensor(self.centres, dtype=torch.float64).norm(dim=-1, keepdim=True)
        parts = torch.trapezoid(walk * torch.special.bessel_j0(k * distances), k)
        return 6 * LOG_TURN + parts.sum().log().item()


def _one_mode(x: Tensor, mode: tuple[float, float]) -> Tensor:
    return torch.cos(x - x.new_tensor(mode)).sum(-1)


def _three_modes(x: Tensor) -> Tensor:
    modes = torch.stack([_one_mode(x, mode) for mode in TORUS_MODES])
    return torch.logsumexp(modes, 0) - math.log(len(TORUS_MODES))


def _directions(x: Tensor) -> Tensor:
    azimuth, latitude = x.new_tensor(SPHERE_MODES).unbind(-1)
    flat = torch.stack((azimuth.cos(), azimuth.sin()), -1) * latitude.cos().unsqueeze(-1)
    return torch.cat((flat, latitude.sin().unsqueeze(-1)), -1)


_LOG_DENSITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "unimodal": lambda x: _one_mode(x, (4.18, 5.96)),
    "multimodal": _three_modes,
    "correlated": lambda x: torch.cos(x.sum(-1) - 1.94),
    "four": lambda x: torch.logsumexp(10 * x @ _directions(x).mT, -1),
    "two": lambda x: torch.logaddexp(10 * x[..., 0], 10 * x[..., 3]),
}
