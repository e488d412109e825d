"""Normals whose covariance is a diagonal and a few directions."""

import math

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.distribution import Distribution
from anabranch.functional import bounded, expand_batch
from anabranch.functional.numbers import check_positive, check_whole
from anabranch.functional.shapes import Shape


class LowRankNormal(Distribution):
    r"""A normal with free mean, free scales, and a few directions of further variance.

    .. math:: x \sim \mathcal N(\mu, \operatorname{diag}(\sigma^2) + W W^\top), \qquad
        W \in \mathbb R^{D \times r}

    The density costs O(D r²) by Woodbury's identity. The model of factor analysis, as a base.

    Args:
        features: D.
        rank: r, at most D.
        bound: limit of the log-scales.
        batch_shape: the component axis.
        generator: source of the initial directions; they are small.

    Raises:
        ValueError: for a rank that is no integer from 1 to D, or a bound that is not positive.

    Example:
        >>> normal = LowRankNormal(5, rank=2, generator=torch.Generator().manual_seed(0))
        >>> normal.log_prob(torch.zeros(3, 5)).shape
        torch.Size([3])
    """

    def __init__(
        self,
        features: int,
        rank: int = 1,
        *,
        bound: float = 5.0,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        self.rank, self.bound = rank, bound
        check_whole(self, ("rank",), 1)
        check_positive(self, ("bound",))
        if rank > features:
            raise ValueError(f"rank must be at most the number of features {features}, got {rank}")
        self.loc = nn.Parameter(torch.zeros(*batch_shape, 1, features))
        self.log_scale = nn.Parameter(torch.zeros(*batch_shape, 1, features))
        noise = torch.randn(*batch_shape, features, rank, generator=generator)
        self.directions = nn.Parameter(0.1 * noise)

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        log_scale = bounded(self.log_scale, self.bound)
        rate = torch.exp(-log_scale)
        z = (expand_batch(x, self.batch_shape, 1) - self.loc) * rate
        loadings = self.directions * rate.mT
        inner = torch.eye(self.rank, dtype=z.dtype, device=z.device) + loadings.mT @ loadings
        root = torch.linalg.cholesky(inner)
        seen = torch.linalg.solve_triangular(root, (z @ loadings).mT, upper=False)
        squares = z.square().sum(-1) - seen.square().sum(-2)
        half_log_det = root.diagonal(dim1=-2, dim2=-1).log().sum(-1, keepdim=True)
        level = 0.5 * z.shape[-1] * math.log(2 * math.pi)
        return -0.5 * squares - half_log_det - log_scale.sum(-1) - level

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        like = {"dtype": self.loc.dtype, "device": self.loc.device}
        features = self.event_shape[0]
        noise = torch.randn(*self.batch_shape, n, features, generator=generator, **like)
        along = torch.randn(*self.batch_shape, n, self.rank, generator=generator, **like)
        scale = bounded(self.log_scale, self.bound).exp()
        return self.loc + scale * noise + along @ self.directions.mT

    @property
    def covariance(self) -> Tensor:
        r"""(\*batch_shape, D, D)."""
        variances = bounded(self.log_scale, self.bound).exp().square().squeeze(-2)
        return torch.diag_embed(variances) + self.directions @ self.directions.mT
