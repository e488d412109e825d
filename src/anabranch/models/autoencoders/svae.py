"""SVAE: a structured variational autoencoder, whose latent is a Bayesian Gaussian mixture."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Unpack

import torch
from torch import Tensor, nn
from torch.distributions import Dirichlet, kl_divergence

from anabranch.functional.conjugate import (
    LOG_2PI,
    ExpectedGaussian,
    NaturalParameters,
    NormalInverseWishart,
    dirichlet_log_weights,
)
from anabranch.models.autoencoders.autoencoder import Autoencoder
from anabranch.models.autoencoders.dense_coders import Decoder, GaussianEncoder, NetworkOptions
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe

INFERENCE = ("mean-field", "amortised")
# Of the belief before any row: rows that a mean counts, rows beyond the fewest of a covariance, and
# the width of a component as a share of that of all codes.
STRENGTH, EXTRA, SHARE = 0.1, 2.0, 0.3
# Rows that each component of a start counts.
START = 100.0
# Rounds of the mean field, of which the last alone carries gradients.
ROUNDS = 10


class Local(NamedTuple):
    """q(k, z|x) of rows: (K, N) in logs, and Gaussians: one of each row, or one of each (k, n).

    Attributes:
        log_r: log q(k|x), (K, N).
        loc: (S, N, J), S = 1 or K.
        factor: Cholesky factors of the precisions, (S, N, J, J).
    """

    log_r: Tensor
    loc: Tensor
    factor: Tensor

    @property
    def covariance(self) -> Tensor:
        """(S, N, J, J)."""
        return torch.cholesky_inverse(self.factor)

    def entropy(self) -> Tensor:
        """Of the Gaussians, in nats, (S, N)."""
        size = self.loc.shape[-1]
        log_det = self.factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return 0.5 * size * (1 + LOG_2PI) - log_det

    def draw(self, noise: Tensor) -> Tensor:
        """Codes (S, N, J) by standard normal draws (N, J)."""
        columns = noise.expand_as(self.loc)[..., None]
        return self.loc + torch.linalg.solve_triangular(self.factor.mT, columns, upper=True)[..., 0]


class StructuredVAE(nn.Module):
    r"""SVAE: weights, means and covariances of the latent mixture have posteriors of their own.

    .. math:: \log p(x) \ge E_q \log p(x \mid z)
        - \mathrm{KL}(q(k, z \mid x) \,\|\, p(k, z \mid \theta))
        - \tfrac1N \mathrm{KL}(q(\theta) \,\|\, p(\theta)), \qquad
        q(\theta) = \mathrm{Dir}(\pi) \prod_k \mathcal{NIW}(\mu_k, \Sigma_k)

    The encoder gives a Gaussian factor :math:`\psi(z; x)`; q(k, z|x) is what is best given it. The
    posterior :math:`q(\theta)` is held in natural parameters, which are buffers: natural gradients
    (`natural_step`) move them, and no optimizer.

    Arguments and errors are those of `anabranch.models.svae`, with a generator for the seed.

    Example:
        >>> model = StructuredVAE(3, 4, 2, (8,))
        >>> model.responsibilities(torch.zeros(5, 3)).shape
        torch.Size([4, 5])
    """

    centre: Tensor
    scale: Tensor
    counts: Tensor
    first: Tensor
    size: Tensor
    second: Tensor
    dof: Tensor

    def __init__(
        self,
        features: int,
        n_components: int,
        latent: int,
        hidden: Sequence[int],
        *,
        likelihood: str = "gaussian",
        inference: str = "mean-field",
        concentration: float = 0.1,
        **how: Unpack[NetworkOptions],
    ) -> None:
        super().__init__()
        if n_components < 1 or not concentration > 0:
            raise ValueError(
                "n_components and concentration must be positive, got "
                f"{n_components} and {concentration}"
            )
        if inference not in INFERENCE:
            raise ValueError(f"inference must be one of {INFERENCE}, got {inference!r}")
        self.n_components, self.noise_size = n_components, latent
        self.inference, self.concentration = inference, concentration
        self.encoder = GaussianEncoder(features, latent, hidden, **how)
        self.decoder = Decoder(features, latent, hidden[::-1], likelihood, scaled=True, **how)
        self.register_buffer("centre", torch.zeros(latent))
        self.register_buffer("scale", torch.ones(latent))
        self.register_buffer("counts", torch.full((n_components,), concentration))
        for name, value in self.prior().natural()._asdict().items():
            self.register_buffer(name, value.clone())
        means = torch.randn(n_components, latent, generator=how.get("generator"))
        even = torch.full((n_components,), 1 / n_components)
        self._believe(even, means, torch.full_like(means, SHARE**2))

    def prior(self) -> NormalInverseWishart:
        """The belief about means and covariances before any row, in the units of the codes."""
        ones = torch.ones_like(self.counts)
        mean = self.centre.expand(self.n_components, -1)
        scatter = torch.diag_embed((SHARE * self.scale).square().expand_as(mean))
        dof = (len(self.centre) + EXTRA) * ones
        return NormalInverseWishart(mean, STRENGTH * ones, scatter, dof)

    @property
    def belief(self) -> NormalInverseWishart:
        """The posterior of means and covariances."""
        natural = NaturalParameters(self.first, self.size, self.second, self.dof)
        return NormalInverseWishart.from_natural(natural)

    @property
    def weights(self) -> Tensor:
        """Posterior means of the mixture weights, (K,)."""
        return self.counts / self.counts.sum()

    def infer(self, x: Tensor) -> Local:
        r"""The best q(k, z|x) given the encoder's factors of rows (N, D).

        By mean field, :math:`q(k) q(z)`, one in turn with the other, the last round alone with
        gradients; amortised, :math:`q(k) q(z \mid k)`, in closed form.
        """
        loc, log_scale = self.encoder(x)
        precision, expected = torch.exp(-2 * log_scale), self.belief.expected()
        if self.inference == "amortised":
            return self._closed(precision, precision * loc, expected)
        local = Local(loc.new_zeros(()), loc[None], torch.diag_embed(precision.sqrt())[None])
        with torch.no_grad():
            for _ in range(ROUNDS - 1):
                local = self._round(local, precision, precision * loc, expected)
        return self._round(local, precision, precision * loc, expected)

    def _log_joint(self, local: Local, expected: ExpectedGaussian) -> Tensor:
        """Mean of log p(k, z) over the belief and z, (K, N)."""
        log_weights = dirichlet_log_weights(self.counts)[:, None]
        return log_weights + expected.log_prob(local.loc, local.covariance)

    def _round(
        self, local: Local, precision: Tensor, linear: Tensor, expected: ExpectedGaussian
    ) -> Local:
        log_r = torch.log_softmax(self._log_joint(local, expected), 0)
        r = log_r.exp()
        joint = torch.einsum("kn,kij->nij", r, expected.precision) + torch.diag_embed(precision)
        loc, factor = _gaussian(joint, r.mT @ expected.linear + linear)
        return Local(log_r, loc[None], factor[None])

    def _closed(self, precision: Tensor, linear: Tensor, expected: ExpectedGaussian) -> Local:
        joint = expected.precision[:, None] + torch.diag_embed(precision)
        given = Local(linear, *_gaussian(joint, expected.linear[:, None] + linear))
        # the evidence of k: what is left of the factor and the component beside q(z|k)
        variance = given.covariance.diagonal(dim1=-2, dim2=-1)
        factor = linear * given.loc - 0.5 * precision * (given.loc.square() + variance)
        log_r = self._log_joint(given, expected) + factor.sum(-1) + given.entropy()
        return given._replace(log_r=torch.log_softmax(log_r, 0))

    def encode(self, x: Tensor) -> Tensor:
        """Means (N, J) of the codes of rows (N, D) under q(z|x)."""
        local = self.infer(x)
        if len(local.loc) == 1:
            return local.loc[0]
        return torch.einsum("kn,knj->nj", local.log_r.exp(), local.loc)

    def decode(self, z: Tensor) -> Tensor:
        """Means of rows (N, D) with those codes (N, J)."""
        return self.decoder(z)

    def responsibilities(self, x: Tensor) -> Tensor:
        """Log q(k|x), (K, N)."""
        return self.infer(x).log_r

    def terms(self, x: Tensor, local: Local, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Log p(x|z) at draws, and the local divergence, (N,) each, in nats.

        Args:
            x: (N, D).
            local: q(k, z|x), by `infer`.
            noise: standard normal draws (N, J).
        """
        z, r = local.draw(noise), local.log_r.exp()
        rows = x.expand(len(z), *x.shape)
        fit = self.decoder.log_prob(z.flatten(0, 1), rows.flatten(0, 1)).view(len(z), -1)
        reconstruction = fit[0] if len(z) == 1 else (r * fit).sum(0)
        log_joint = self._log_joint(local, self.belief.expected())
        divergence = (r * (local.log_r - log_joint - local.entropy())).sum(0)
        return reconstruction, divergence

    def divergence(self) -> Tensor:
        """KL of the posterior of the mixture from its prior, in nats."""
        before = Dirichlet(torch.full_like(self.counts, self.concentration))
        weights = kl_divergence(Dirichlet(self.counts), before)
        return weights + self.belief.divergence(self.prior()).sum()

    @torch.no_grad()
    def statistics(self, local: Local) -> Tensor:
        """Mean over rows of what they add to the natural parameters, (K, 1 + J + J J)."""
        r = local.log_r.exp() / local.log_r.shape[1]
        loc = local.loc.expand(len(r), -1, -1)
        second = local.covariance + local.loc[..., :, None] * local.loc[..., None, :]
        second = second.expand(len(r), -1, -1, -1)
        parts = (r.sum(1, keepdim=True), torch.einsum("kn,knj->kj", r, loc))
        return torch.cat((*parts, torch.einsum("kn,knij->kij", r, second).flatten(1)), 1)

    @torch.no_grad()
    def natural_step(self, statistics: Tensor, n_rows: float, rate: float) -> None:
        r"""A natural gradient step, :math:`\eta \leftarrow (1 - \rho) \eta + \rho (\eta_0 + N t)`.

        Args:
            statistics: t, as by `statistics`.
            n_rows: N, of all the data.
            rate: :math:`\rho`.
        """
        added, latent = n_rows * statistics, self.first.shape[1]
        size, first, second = added.split([1, latent, latent * latent], 1)
        sums = (first, size[:, 0], second.view_as(self.second), size[:, 0])
        own = (self.first, self.size, self.second, self.dof)
        for value, before, new in zip(own, self.prior().natural(), sums, strict=True):
            value.lerp_(before + new, rate)
        self.counts.lerp_(self.concentration + size[:, 0], rate)

    @torch.no_grad()
    def start_from(
        self, model: Autoencoder, error: float, weights: Tensor, means: Tensor, variances: Tensor
    ) -> None:
        """Take over an autoencoder, and a mixture on its codes as `START` rows of each component.

        Args:
            model: with the same sizes.
            error: its mean squared error per feature, where the likelihood is Gaussian.
            weights: (K,); a component without weight is as before any row.
            means: (K, J).
            variances: (K, J).
        """
        self.centre.copy_(weights @ means)
        self.scale.copy_((weights @ (variances + means.square()) - self.centre.square()).sqrt())
        # narrower than the clusters, or the decoder would not know the codes it was trained on; and
        # no wider than what it leaves of a row, or all that it knows of them would be unlearned
        within = 0.5 * (weights @ variances.log()) - math.log(4.0)
        left = self.scale.log() + 0.5 * math.log(max(error, 1e-8))
        self.encoder.adopt(model.encoder, torch.minimum(within, left))
        self.decoder.adopt(model.decoder, error)
        self._believe(weights, means, variances)

    def _believe(self, weights: Tensor, means: Tensor, variances: Tensor) -> None:
        """Take clusters for `START` rows of each component."""
        share = weights[:, None]
        second = torch.diag_embed(variances) + means[:, :, None] * means[:, None, :]
        statistics = torch.cat((share, share * means, (share[..., None] * second).flatten(1)), 1)
        self.natural_step(statistics, START * len(weights), 1.0)


def _gaussian(precision: Tensor, linear: Tensor) -> tuple[Tensor, Tensor]:
    """Means, and Cholesky factors of the precisions, of exp(h'z - z'Pz / 2)."""
    factor = torch.linalg.cholesky(precision)
    return torch.cholesky_solve(linear[..., None], factor)[..., 0], factor


@recipe
def svae(
    features: int,
    n_components: int,
    *,
    latent: int = 10,
    hidden: Sequence[int] = (500, 500, 2000),
    likelihood: str = "gaussian",
    inference: str = "mean-field",
    concentration: float = 0.1,
    activation: str = "relu",
    seed: int | None = None,
) -> StructuredVAE:
    r"""Structured variational autoencoder: a Bayesian mixture of Gaussians as the latent.

    .. math:: \pi \sim \mathrm{Dir}(a), \quad (\mu_k, \Sigma_k) \sim \mathcal{NIW}, \quad
        k \sim \pi, \quad z \sim \mathcal N(\mu_k, \Sigma_k), \quad x \sim p(x \mid z)

    Components that no row needs lose their weight to the Dirichlet: K is an upper limit. Train it
    by `anabranch.procedures.fit_svae`.

    Source: Johnson, Duvenaud, Wiltschko, Datta, Adams (2016), "Composing graphical models with
    neural networks for structured representations and fast inference", arXiv:1603.06277; amortised:
    Lin, Hubacher, Khan (2018), "Variational message passing with structured inference networks",
    arXiv:1803.05589, with the posterior of the mixture in the place of a second one.

    Args:
        features: D.
        n_components: K, an upper limit.
        latent: J, size of a code.
        hidden: hidden sizes of the encoder; the decoder has them in reverse.
        likelihood: "gaussian" with one free standard deviation, or "bernoulli" for shares in
            [0, 1].
        inference: "mean-field" for q(k) q(z), by rounds; "amortised" for q(k) q(z|k), at once,
            with K draws of the decoder.
        concentration: a, rows that each weight counts beforehand; below one components die out.
        activation: of the hidden layers.
        seed: of the initial weights and means.

    Raises:
        ValueError: for K or a concentration that is not positive, another likelihood or inference.

    Example:
        >>> import torch
        >>> model = svae(4, 3, latent=2, hidden=[8], seed=0)
        >>> model.responsibilities(torch.zeros(5, 4)).shape, model.weights.sum().item()
        (torch.Size([3, 5]), 1.0)
    """
    how = NetworkOptions(activation=activation, generator=make_generator(seed))
    return StructuredVAE(
        features,
        n_components,
        latent,
        tuple(hidden),
        likelihood=likelihood,
        inference=inference,
        concentration=concentration,
        **how,
    )
