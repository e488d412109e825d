"""Energies in the plane: unnormalised densities for variational inference."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# beyond it U2 to U4, which are constant along the first axis, are penalised
EDGE = 4.0


@dataclass(frozen=True)
class Energy:
    r"""An unnormalised density :math:`\tilde p(z) = e^{-U(z)}` in the plane.

    U2, U3 and U4 do not decay along :math:`z_1`; as usual
    :math:`10 \max(|z_1| - 4, 0)^2` is added to them, which makes them integrable.

    Args:
        name: "U1" (a ring with two modes), "U2" (a wave), "U3" (a forked wave) or "U4" (a wave
            that is left to the right).

    Raises:
        ValueError: for another name.

    Source: Rezende, Mohamed (2015), "Variational inference with normalizing flows",
    arXiv:1505.05770, table 1.

    Example:
        >>> energy = Energy("U2")
        >>> energy.log_density(torch.tensor([[0.0, 0.0], [0.0, 0.4]]))
        tensor([-0.0000, -0.5000])
        >>> round(energy.log_z(), 4)
        2.1498
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in _ENERGIES:
            raise ValueError(f"name must be one of {list(_ENERGIES)}, got {self.name!r}")

    def log_density(self, z: Tensor) -> Tensor:
        """Minus the energy, (...,) in nats, of points (..., 2); not normalised."""
        z1, z2 = z.unbind(-1)
        energy = _ENERGIES[self.name](z1, z2)
        if self.name != "U1":
            energy = energy + 10 * (z1.abs() - EDGE).clamp_min(0).square()
        return -energy

    def log_z(self, points: int = 801, limit: float = 8.0) -> float:
        r"""Log of the integral of the density, by quadrature on the square of side 2 ``limit``.

        The trapezoidal rule converges fast for what is smooth and vanishes at the border; at the
        defaults it is exact to about six digits.
        """
        return _log_z(self, points, limit)


@functools.lru_cache
def _log_z(energy: Energy, points: int, limit: float) -> float:
    axis = torch.linspace(-limit, limit, points, dtype=torch.float64)
    log_density = energy.log_density(torch.cartesian_prod(axis, axis))
    cell = (axis[1] - axis[0]).log() * 2
    return (torch.logsumexp(log_density, 0) + cell).item()


def _wave(z1: Tensor) -> Tensor:
    return torch.sin(0.5 * torch.pi * z1)


def _ring(z1: Tensor, z2: Tensor) -> Tensor:
    radius = torch.sqrt(z1.square() + z2.square() + 1e-12)  # a gradient at the origin as well
    modes = torch.logaddexp(-0.5 * ((z1 - 2) / 0.6).square(), -0.5 * ((z1 + 2) / 0.6).square())
    return 0.5 * ((radius - 2) / 0.4).square() - modes


def _single(z1: Tensor, z2: Tensor) -> Tensor:
    return 0.5 * ((z2 - _wave(z1)) / 0.4).square()


def _fork(z1: Tensor, z2: Tensor) -> Tensor:
    bump = 3 * torch.exp(-0.5 * ((z1 - 1) / 0.6).square())
    offset = z2 - _wave(z1)
    return -torch.logaddexp(
        -0.5 * (offset / 0.35).square(), -0.5 * ((offset + bump) / 0.35).square()
    )


def _slope(z1: Tensor, z2: Tensor) -> Tensor:
    step = 3 * torch.sigmoid((z1 - 1) / 0.3)
    offset = z2 - _wave(z1)
    return -torch.logaddexp(
        -0.5 * (offset / 0.4).square(), -0.5 * ((offset + step) / 0.35).square()
    )


_ENERGIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "U1": _ring,
    "U2": _single,
    "U3": _fork,
    "U4": _slope,
}
