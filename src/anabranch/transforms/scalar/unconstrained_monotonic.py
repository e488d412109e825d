"""Integrals of positive networks."""

from dataclasses import dataclass
from functools import cached_property

import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor

from anabranch.functional import bounded
from anabranch.functional.numbers import check_positive, check_whole
from anabranch.transforms.scalar.base import NumericScalarMap

NODES = 28
STEEPEST = 1.0  # of a unit, so that so many nodes integrate to the last digits
SPREAD = 2.0  # where units stand before training


@dataclass(frozen=True)
class UnconstrainedMonotonic(NumericScalarMap):
    r"""The integral of a positive network, which increases without constraints on its weights.

    .. math:: z = c + \int_0^x e^{s(u)}\, du, \qquad
        s(u) = \sum_{j=1}^J w_j \tanh(a_j u + b_j)

    on :math:`[-B, B]`, continued by lines of the slope at its ends. Gauss's rule takes 28 nodes,
    which integrate it to some ten digits, so that the term is the slope of what is computed. At
    parameters zero z = x.

    Args:
        units: J, of the network of each number.
        bound: B.
        log_bound: the largest \|s\|.

    Raises:
        ValueError: for fewer than one unit, or bounds that are not positive.

    Source: Wehenkel, Louppe (2019), "Unconstrained monotonic neural networks", arXiv:1908.05164,
    with one hidden layer, and the exponential for positivity.

    Example:
        >>> network = UnconstrainedMonotonic(units=3)
        >>> params = torch.linspace(-1, 1, network.n_params).unsqueeze(-1)
        >>> z, _ = network.encode(torch.tensor([0.5]), params)
        >>> network.decode(z, params)[0]
        tensor([0.5000])
    """

    units: int = 6
    bound: float = 4.0
    log_bound: float = 3.0

    def __post_init__(self) -> None:
        check_whole(self, ("units",), 1)
        check_positive(self, ("bound", "log_bound"))

    @property
    def n_params(self) -> int:
        """Raw weights, slopes and offsets of the units, and the shift."""
        return 3 * self.units + 1

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Integrate by Gauss's rule from zero to x, or to the end of the box."""
        weights, slopes, offsets, shift = self._parts(params)
        inner = x.clamp(-self.bound, self.bound)
        places, shares = self._nodes.to(params).view(2, -1, *[1] * (params.ndim - 1))
        nodes = places * inner
        log_slope = sum(
            (
                w * torch.tanh(a * nodes + b)
                for w, a, b in zip(weights, slopes, offsets, strict=True)
            ),
            torch.zeros_like(nodes),
        )
        rise = log_slope.exp()
        # the last node is x itself, of no share
        z = shift + inner * (shares * rise).sum(0) + (x - inner) * rise[-1]
        return z, log_slope[-1]

    def bracket(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Zero, and the farthest point to which the least slope lets x go."""
        far = (z - params[-1]) * torch.exp(torch.tensor(self.log_bound))
        return far.clamp_max(0), far.clamp_min(0)

    @cached_property
    def _nodes(self) -> Tensor:
        """Places between 0 and 1 with their shares; last 1 itself, of share zero."""
        places, shares = leggauss(NODES)
        return torch.tensor([[*(places + 1) / 2, 1.0], [*shares / 2, 0.0]], dtype=torch.float64)

    def _parts(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        k = self.units
        weights, slopes, offsets, shift = params.split([k, k, k, 1])
        middles = torch.linspace(-SPREAD, SPREAD, k, dtype=params.dtype, device=params.device)
        middles = middles.view(-1, *[1] * (params.ndim - 1))
        return (
            bounded(weights, self.log_bound / k, "softsign"),
            bounded(slopes + STEEPEST / 2, STEEPEST, "softsign"),
            bounded(offsets, SPREAD, "softsign") + middles,
            shift[0],
        )
