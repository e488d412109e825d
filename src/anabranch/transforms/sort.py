"""Sorting: densities of points whose order means nothing."""

import math

import torch
from torch import Generator, Tensor
from torch.nn.functional import logsigmoid

from anabranch.contracts.transform import Transform
from anabranch.functional import log1mexp
from anabranch.functional.numbers import is_whole
from anabranch.transforms.preprocessing import hashed_uniform


class Sort(Transform):
    r"""Sort a vector, and write it as its least number and its gaps, brought to the line.

    .. math:: z_1 = x_{(1)}, \quad \log(1 + e^{z_d}) = x_{(d)} - x_{(d-1)}, \qquad
        \mathrm{term} = -\log D! - \sum_{d=2}^D \log\sigma(z_d)

    Any density of z makes one of x that is the same for all orders of its numbers. Many to one:
    ``decode`` takes an order by a hash of the bits of z, all alike over draws of z, as a `Fold`
    takes its branch.

    Args:
        features: D.
        min_gap: the smallest gap that is told; equal numbers stand so far apart.

    Raises:
        ValueError: for a gap that is not positive.

    Source: Nielsen et al. (2020), "SurVAE flows", arXiv:2007.02731, sorting surjection; the gaps
    make its latents free.

    Example:
        >>> z, term = Sort(2).encode(torch.tensor([[3.0, 1.0]]))
        >>> z, term  # a gap of two, of which there are two orders
        (tensor([[1.0000, 1.8546]]), tensor([-0.5477]))
    """

    bijective = False

    def __init__(self, features: int, *, min_gap: float = 1e-12) -> None:
        super().__init__((features,))
        if not min_gap > 0:
            raise ValueError(f"min_gap must be positive, got {min_gap}")
        self.min_gap = min_gap
        self.level = math.lgamma(features + 1)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        ordered = x.sort(-1).values
        gaps = ordered.diff(dim=-1).clamp_min(self.min_gap)
        lost = log1mexp(gaps)
        return torch.cat([ordered[..., :1], gaps + lost], -1), -lost.sum(-1) - self.level

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        first, rest = z[..., :1], z[..., 1:]
        gaps = torch.logaddexp(rest, rest.new_zeros(()))
        ordered = torch.cat([first, first + gaps.cumsum(-1)], -1)
        return ordered.gather(-1, _shuffle(z)), logsigmoid(rest).sum(-1) + self.level


class TopK(Transform):
    r"""Take the K largest numbers out, sorted, and write the others by how far they lie below.

    .. math:: z_1 = t, \quad \operatorname{softplus}(z_i) = x_{[i]} - x_{[i - 1]}, \quad
        \operatorname{softplus}(z_j) = t - x_j, \qquad
        \mathrm{term} = -\log \frac{D!}{(D - K)!} - \sum_{d \ge 2} \log\sigma(z_d)

    with t the least of the K largest, :math:`x_{[1]} = t` to :math:`x_{[K]}`; the others keep their
    order. Any density of z makes one of x that does not mind where the K largest stand. Many to
    one: ``decode`` takes their places by a hash of z, as `Sort` does.

    Args:
        features: D.
        k: K, in 1..D.
        min_gap: the smallest gap that is told; equal numbers stand so far apart.

    Raises:
        ValueError: for another K, or a gap that is not positive.

    Source: Nielsen et al. (2020), "SurVAE flows", arXiv:2007.02731, sorting surjection, of some.

    Example:
        >>> z, _ = TopK(3, 2).encode(torch.tensor([[5.0, 1.0, 3.0]]))
        >>> z  # the second largest, the gap to the largest, the gap down to the other one
        tensor([[3.0000, 1.8546, 1.8546]])
    """

    bijective = False

    def __init__(self, features: int, k: int, *, min_gap: float = 1e-12) -> None:
        super().__init__((features,))
        if not is_whole(k) or not 1 <= int(k) <= features:
            raise ValueError(f"k must be an integer in 1..{features}, got {k!r}")
        if not min_gap > 0:
            raise ValueError(f"min_gap must be positive, got {min_gap}")
        self.k, self.min_gap = int(k), min_gap
        self.level = math.lgamma(features + 1) - math.lgamma(features - self.k + 1)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        largest, places = x.topk(self.k, -1)
        taken = torch.zeros_like(x).scatter(-1, places, torch.ones_like(largest))
        order = taken.argsort(dim=-1, stable=True)
        others = x.gather(-1, order[..., : x.shape[-1] - self.k])
        least = largest[..., -1:]
        gaps = torch.cat([largest.flip(-1).diff(dim=-1), least - others], -1)
        gaps = gaps.clamp_min(self.min_gap)
        lost = log1mexp(gaps)
        return torch.cat([least, gaps + lost], -1), -lost.sum(-1) - self.level

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        least, rest = z[..., :1], z[..., 1:]
        gaps = torch.logaddexp(rest, rest.new_zeros(()))
        above, below = gaps.split([self.k - 1, gaps.shape[-1] - self.k + 1], -1)
        numbers = torch.cat([least, least + above.cumsum(-1), least - below], -1)
        drawn = _shuffle(z)
        places = torch.cat([drawn[..., : self.k], drawn[..., self.k :].sort(-1).values], -1)
        x = torch.zeros_like(numbers).scatter(-1, places, numbers)
        return x, logsigmoid(rest).sum(-1) + self.level


def _shuffle(z: Tensor) -> Tensor:
    """An order of the numbers by a hash of their bits, all alike over draws of z."""
    whole = z.detach().contiguous().view(torch.int64 if z.element_size() == 8 else torch.int32)
    bits = whole.to(torch.int64)
    return hashed_uniform((bits >> 32) ^ bits).argsort(-1)
