"""A normal by its copula: marginals apart from the correlations that tie them."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from anabranch.contracts.context import vector_size
from anabranch.contracts.distribution import Distribution
from anabranch.functional import bounded, expand_batch, standard_normal_log_prob
from anabranch.functional.numbers import check_positive
from anabranch.functional.shapes import Shape
from anabranch.networks.amortised import Amortised

STRUCTURES = ("cholesky", "rank-one")


class GaussianCopula(Distribution):
    r"""Normal marginals tied by a Gaussian copula: the posterior that mean field leaves out.

    .. math:: z = \mu + \sigma \odot \frac{L \epsilon}{\rho}, \quad
        \rho_d^2 = \sum_j L_{dj}^2, \qquad q(z) = \mathcal N(z; \mu,
        \operatorname{diag}(\sigma)\, R \operatorname{diag}(\sigma)), \quad
        R = \tfrac{L L^\top}{\rho \rho^\top}

    L is lower triangular with a unit diagonal, so that R is any correlation matrix at all; or it is
    :math:`I + a a^\top`, which costs O(D) in place of O(D²) a point. (The paper's
    :math:`w I + a a^\top` has the same correlations: w is no more than the length of a.) With a
    context all parameters are the output of one MLP of it.

    Args:
        features: D.
        structure: "cholesky" or "rank-one".
        context_features: size of the context; 0 for free parameters.
        hidden: hidden sizes of the MLP, used with a context only.
        bound: limit of the log-scales.
        batch_shape: the component axis.
        generator: source of the initial weights, and of a, which must not start at zero.

    Raises:
        ValueError: for another structure, or a bound that is not positive.

    Source: Wang, Wang (2019), "Neural Gaussian copula for variational autoencoder",
    arXiv:1909.03569.

    Example:
        >>> GaussianCopula(2).log_prob(torch.zeros(3, 2)).detach()
        tensor([-1.8379, -1.8379, -1.8379])
    """

    shared_buffers = ("places",)
    places: Tensor

    def __init__(
        self,
        features: int,
        *,
        structure: str = "cholesky",
        context_features: int = 0,
        hidden: Sequence[int] = (64,),
        bound: float = 5.0,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__(features, batch_shape=batch_shape, context_shape=context_features)
        if structure not in STRUCTURES:
            raise ValueError(f"structure must be one of {STRUCTURES}, got {structure!r}")
        self.structure, self.bound = structure, bound
        check_positive(self, ("bound",))
        d = vector_size(self.event_shape)
        moments = torch.zeros(*batch_shape, 2 * d, 1)
        if structure == "cholesky":
            tied = torch.zeros(*batch_shape, d * (d - 1) // 2, 1)
        else:
            # at a = 0 its gradient vanishes: the copula would never leave independence
            tied = 0.1 * torch.randn(*batch_shape, d, 1, generator=generator)
        self.parameters_of = Amortised(
            torch.cat((moments, tied), -2),
            context_features=vector_size(self.context_shape),
            hidden=hidden,
            batch_shape=batch_shape,
            generator=generator,
        )
        self.register_buffer("places", _places(d), False)

    def mean(self, context: Tensor | None = None) -> Tensor:
        r"""The means, (\*batch_shape, N, D) of contexts (N, C), or (\*batch_shape, 1, D)."""
        return self._split(context)[0]

    def _split(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Means and log-scales as rows, (*batch_shape, N or 1, D), and what ties them."""
        d = self.event_shape[0]
        rows = self.parameters_of.columns(context).mT
        loc, log_scale, tied = rows.split((d, d, rows.shape[-1] - 2 * d), -1)
        return loc, bounded(log_scale, self.bound), tied

    def _factor(self, tied: Tensor) -> Tensor:
        """L, (*batch_shape, N or 1, D, D), of its entries below the diagonal."""
        constants = tied.new_tensor([0.0, 1.0]).expand(*tied.shape[:-1], 2)
        entries = torch.cat((constants, tied), -1).index_select(-1, self.places)
        return entries.unflatten(-1, (self.event_shape[0], -1))

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        loc, log_scale, tied = self._split(context)
        t = (expand_batch(x, self.batch_shape, 1) - loc) * torch.exp(-log_scale)
        if self.structure == "rank-one":
            length = tied.square().sum(-1, keepdim=True)
            log_norm = _rank_one_log_norm(tied, length)
            t = t * log_norm.exp()
            noise = t - tied * (tied * t).sum(-1, keepdim=True) / (1 + length)
            log_det = torch.log1p(length).squeeze(-1) - log_norm.sum(-1)
        else:
            factor = self._factor(tied)
            log_norm = 0.5 * factor.square().sum(-1).log()
            t = (t * log_norm.exp()).unsqueeze(-1)
            noise = torch.linalg.solve_triangular(factor, t, upper=False, unitriangular=True)
            noise, log_det = noise.squeeze(-1), -log_norm.sum(-1)
        return standard_normal_log_prob(noise) - log_scale.sum(-1) - log_det

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self._sample_and_log_prob(n, context, generator)[0]

    def _sample_and_log_prob(
        self, n: int, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        loc, log_scale, tied = self._split(context)
        shape = (*self.batch_shape, n, *self.event_shape)
        noise = torch.randn(shape, generator=generator, dtype=loc.dtype, device=loc.device)
        if self.structure == "rank-one":
            length = tied.square().sum(-1, keepdim=True)
            log_norm = _rank_one_log_norm(tied, length)
            mixed = noise + tied * (tied * noise).sum(-1, keepdim=True)
            log_det = torch.log1p(length).squeeze(-1) - log_norm.sum(-1)
        else:
            factor = self._factor(tied)
            log_norm = 0.5 * factor.square().sum(-1).log()
            mixed, log_det = (factor @ noise.unsqueeze(-1)).squeeze(-1), -log_norm.sum(-1)
        x = torch.addcmul(loc, mixed, torch.exp(log_scale - log_norm))
        return x, standard_normal_log_prob(noise) - log_scale.sum(-1) - log_det

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{super().extra_repr()}, structure={self.structure!r}"


def _rank_one_log_norm(a: Tensor, length: Tensor) -> Tensor:
    """Log-lengths of the rows of I + a aᵀ, like a, given |a|²."""
    return 0.5 * torch.log1p(a.square() * (2 + length))


def _places(features: int) -> Tensor:
    """Where each entry of a triangle is found behind a zero and a one, row by row."""
    places = torch.eye(features, dtype=torch.int64)
    rows, columns = torch.tril_indices(features, features, -1)
    places[rows, columns] = 2 + torch.arange(len(rows))
    return places.flatten()
