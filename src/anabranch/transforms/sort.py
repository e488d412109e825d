"""Sorting: densities of points whose order means nothing."""

import math

import torch
from torch import Generator, Tensor
from torch.nn.functional import logsigmoid

from anabranch.contracts.transform import Transform
from anabranch.functional import log1mexp
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
        whole = z.detach().contiguous().view(torch.int64 if z.element_size() == 8 else torch.int32)
        bits = whole.to(torch.int64)
        keys = hashed_uniform((bits >> 32) ^ bits)
        return ordered.gather(-1, keys.argsort(-1)), logsigmoid(rest).sum(-1) + self.level
