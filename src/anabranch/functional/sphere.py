"""Geometry of the sphere of unit vectors."""

import math

import torch
from torch import Tensor

from anabranch.functional.logspace import log1mexp

NODES = 241  # of a quadrature


def log_surface(features: int) -> float:
    r"""Log of the surface of the unit vectors of D numbers, :math:`2 \pi^{D/2} / \Gamma(D/2)`.

    Example:
        >>> round(math.exp(log_surface(3)) / math.pi, 6)
        4.0
    """
    return math.log(2) + features / 2 * math.log(math.pi) - math.lgamma(features / 2)


def unit(x: Tensor) -> Tensor:
    """Vectors along the last axis at length one, in the precision that they have.

    Example:
        >>> unit(torch.tensor([3.0, 4.0]))
        tensor([0.6000, 0.8000])
    """
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)


def tangent_basis(x: Tensor) -> Tensor:
    r"""Orthonormal vectors that are orthogonal to unit vectors x, (..., D, D - 1).

    All columns but the last of the reflection that carries the last axis to x or to -x, whichever
    is farther away, so that nothing cancels.

    Example:
        >>> tangent_basis(torch.tensor([0.0, 0.0, 1.0]))
        tensor([[1., 0.],
                [0., 1.],
                [0., 0.]])
    """
    sign = torch.where(x[..., -1:] > 0, 1.0, -1.0).to(x.dtype)
    pole = torch.zeros_like(x)
    pole[..., -1] = 1.0
    v = x + sign * pole
    scale = 2 / v.square().sum(-1, keepdim=True)
    eye = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    reflection = eye - (scale * v).unsqueeze(-1) * v.unsqueeze(-2)
    return reflection[..., :-1]


def exponential(x: Tensor, v: Tensor) -> Tensor:
    r"""Walk along a great circle: :math:`x \cos|v| + v \sin|v| / |v|` for v in the tangent at x.

    Example:
        >>> exponential(torch.tensor([1.0, 0.0]), torch.tensor([0.0, torch.pi / 6]))
        tensor([0.8660, 0.5000])
    """
    cosine, ratio, _ = cos_and_sinc(v.square().sum(-1, keepdim=True))
    return x * cosine + v * ratio


def cos_and_sinc(square: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""Of :math:`s = r^2`: :math:`\cos r`, :math:`k = \sin r / r`, and :math:`dk/ds`, smooth at 0.

    Example:
        >>> [round(value.item(), 6) for value in cos_and_sinc(torch.zeros(()))]
        [1.0, 1.0, -0.166667]
    """
    small = square < 1e-4
    safe = torch.where(small, 1.0, square)
    root = safe.sqrt()
    cosine, ratio = root.cos(), root.sin() / root
    slope = (cosine - ratio) / (2 * safe)
    s = torch.where(small, square, 0.0)
    return (
        torch.where(small, 1 - s / 2 + s * s / 24, cosine),
        torch.where(small, 1 - s / 6 + s * s / 120, ratio),
        torch.where(small, -1 / 6 + s / 60 - s * s / 1680, slope),
    )


def log_vmf_integral(concentration: Tensor, features: int) -> Tensor:
    r"""Log of :math:`\int e^{\kappa (\mu \cdot x - 1)} dx` over unit vectors of 2, 3 or 4 numbers.

    Example:
        >>> log_vmf_integral(torch.tensor(1e-6), 3).exp() / math.pi
        tensor(4.0000)
    """
    if features == 2:
        return math.log(2 * math.pi) + torch.special.i0e(concentration).log()
    if features == 3:
        return math.log(2 * math.pi) - concentration.log() + log1mexp(2 * concentration)
    return math.log(4 * math.pi**2) + (torch.special.i1e(concentration) / concentration).log()


def log_kent_integral(concentration: Tensor, ellipticity: Tensor) -> Tensor:
    r"""Log of the integral of :math:`e^{\kappa (x_1 - 1) + \beta (x_2^2 - x_3^2)}` over the sphere.

    .. math:: 2 \pi \int_0^2 e^{-\kappa s} I_0(\beta s (2 - s))\, ds

    by the tanh-sinh rule, whose points crowd where narrow densities are. In double precision good
    to nine digits for :math:`2 |\beta| < \kappa < 10^6`.

    Example:
        >>> kappa = torch.tensor(3.0)
        >>> both = log_kent_integral(kappa, torch.zeros(())), log_vmf_integral(kappa, 3)
        >>> bool((both[0] - both[1]).abs() < 1e-5)
        True
    """
    steps = torch.linspace(-3.6, 3.6, NODES, dtype=torch.float64)
    inner = math.pi / 2 * steps.sinh()
    nodes = 2 * torch.sigmoid(2 * inner)  # from 0 to 2, without cancellation near 0
    log_weights = (math.pi / 2 * steps.cosh()).log() - 2 * inner.abs()
    log_weights = log_weights - 2 * torch.log1p((-2 * inner.abs()).exp()) + math.log(4)
    log_weights = log_weights + math.log(float(steps[1] - steps[0]))
    s, log_weights = nodes.to(concentration), log_weights.to(concentration)
    kappa, beta = concentration.unsqueeze(-1), ellipticity.abs().unsqueeze(-1)
    exponents = -(kappa - 2 * beta) * s - beta * s * s
    values = exponents + torch.special.i0e(beta * s * (2 - s)).log() + log_weights
    return math.log(2 * math.pi) + torch.logsumexp(values, -1)
