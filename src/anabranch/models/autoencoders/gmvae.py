"""GMVAE: a variational autoencoder with a mixture of networks for a prior."""

import math
from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn

from anabranch.functional import bounded
from anabranch.models.autoencoders.autoencoder import Autoencoder
from anabranch.models.autoencoders.dense_coders import (
    BOUND,
    Decoder,
    GaussianEncoder,
    NetworkOptions,
    unbounded,
)
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.networks import MLP

LOG_2PI = math.log(2 * math.pi)


class HierarchicalMixtureVAE(nn.Module):
    r"""GMVAE: the components of the prior are functions of a latent w.

    .. math:: \log p(x) \ge E_q \log p(x \mid z)
        - E_q \sum_k p(k \mid z, w)\, \mathrm{KL}(q(z|x) \,\|\, \mathcal N(m_k(w), s_k^2(w)))
        - \mathrm{KL}(q(w|x) \,\|\, \mathcal N(0, I))
        - E_q \mathrm{KL}(p(k \mid z, w) \,\|\, 1/K)

    with :math:`p(k \mid z, w) \propto \mathcal N(z; m_k(w), s_k^2(w))`.

    Arguments and errors are those of `anabranch.models.gmvae`, with a generator for the seed.

    Attributes:
        noise_size: J + L, numbers of noise that a row needs.

    Example:
        >>> model = HierarchicalMixtureVAE(3, 4, 2, 2, (8,))
        >>> sorted(model.terms(torch.zeros(5, 3), torch.zeros(5, 4)))
        ['conditional_prior', 'entropy', 'k_prior', 'reconstruction', 'w_prior']
    """

    def __init__(
        self,
        features: int,
        n_components: int,
        latent: int,
        latent_prior: int,
        hidden: Sequence[int],
        *,
        hidden_prior: Sequence[int] = (100,),
        likelihood: str = "gaussian",
        **how: Unpack[NetworkOptions],
    ) -> None:
        super().__init__()
        if n_components < 1 or latent_prior < 1:
            raise ValueError(
                "n_components and latent_prior must be positive, got "
                f"{n_components} and {latent_prior}"
            )
        self.n_components, self.latent, self.latent_prior = n_components, latent, latent_prior
        self.noise_size = latent + latent_prior
        self.encoder = GaussianEncoder(features, latent + latent_prior, hidden, **how)
        self.decoder = Decoder(features, latent, hidden[::-1], likelihood, scaled=True, **how)
        self.prior = MLP(latent_prior, 2 * n_components * latent, hidden_prior, **how)

    def encode(self, x: Tensor) -> Tensor:
        """Means (N, J) of the codes of rows (N, D)."""
        return self.encoder(x)[0][:, : self.latent]

    def decode(self, z: Tensor) -> Tensor:
        """Means of rows (N, D) with those codes (N, J)."""
        return self.decoder(z)

    def components(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-scales of p(z|k,w), (K, N, J) each, for w (N, L)."""
        output = self.prior(w).unflatten(-1, (2, self.n_components, self.latent))
        loc, log_scale = output.permute(1, 2, 0, 3)
        return loc, bounded(log_scale, BOUND)

    def responsibilities(self, x: Tensor) -> Tensor:
        """Log p(k|z,w) at the means of q(z|x) and q(w|x), (K, N)."""
        z, w = self.encoder(x)[0].split([self.latent, self.latent_prior], -1)
        return torch.log_softmax(_cross(z, 0.0, *self.components(w)), 0)

    def terms(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """The terms of the bound at one draw of z and w, (N,) each, in nats.

        Args:
            x: (N, D).
            noise: standard normal draws (N, J + L), which become draws of z and w.

        Returns:
            "reconstruction", log p(x|z); the divergences "conditional_prior", "w_prior" and
            "k_prior" that are taken from it; and the "entropy" of p(k|z,w).
        """
        loc, log_scale = self.encoder(x)
        draws = loc + log_scale.exp() * noise
        sizes = [self.latent, self.latent_prior]
        (z, w), (z_loc, w_loc) = draws.split(sizes, -1), loc.split(sizes, -1)
        z_scale, w_scale = log_scale.split(sizes, -1)
        components = self.components(w)
        log_q = torch.log_softmax(_cross(z, 0.0, *components), 0)
        within = (log_q.exp() * _cross(z_loc, torch.exp(2 * z_scale), *components)).sum(0)
        w_prior = 0.5 * (w_loc.square() + torch.exp(2 * w_scale) - 1) - w_scale
        entropy = -(log_q.exp() * log_q).sum(0)
        return {
            "reconstruction": self.decoder.log_prob(z, x),
            "conditional_prior": -within - (z_scale + 0.5 * (1 + LOG_2PI)).sum(-1),
            "w_prior": w_prior.sum(-1),
            "k_prior": math.log(self.n_components) - entropy,
            "entropy": entropy,
        }

    @torch.no_grad()
    def start_from(
        self, model: Autoencoder, error: float, weights: Tensor, means: Tensor, variances: Tensor
    ) -> None:
        """Take over an autoencoder, and a mixture on its codes as components that w leaves alone.

        Args:
            model: with the same sizes.
            error: its mean squared error per feature, where the likelihood is Gaussian.
            weights: (K,), of which nothing is kept: p(k) is uniform.
            means: (K, J).
            variances: (K, J).
        """
        log_scale = 0.5 * variances.log()
        own, other, size = self.encoder.network, model.encoder, self.latent + self.latent_prior
        own.hidden.load_state_dict(other.hidden.state_dict())
        loc, scale = slice(0, self.latent), slice(size, size + self.latent)
        own.last.weight[loc], own.last.bias[loc] = other.last.weight, other.last.bias
        own.last.weight[scale] = 0.0
        # narrower than the clusters, or the decoder would not know the codes it was trained on
        own.last.bias[scale] = unbounded(log_scale.mean(0) - math.log(4.0))[:, None]
        self.decoder.adopt(model.decoder, error)
        self.prior.last.weight.zero_()
        moments = torch.cat([means.flatten(), unbounded(log_scale).flatten()])
        self.prior.last.bias.copy_(moments[:, None])


def _cross(loc: Tensor, variance: Tensor | float, means: Tensor, log_scales: Tensor) -> Tensor:
    """E log N(z; m_k, s_k^2) for z with those moments (N, J), (K, N)."""
    squares = ((loc - means).square() + variance) * torch.exp(-2 * log_scales)
    return -0.5 * (squares + 2 * log_scales + LOG_2PI).sum(-1)


@recipe
def gmvae(
    features: int,
    n_components: int,
    *,
    latent: int = 10,
    latent_prior: int | None = None,
    hidden: Sequence[int] = (500, 500, 2000),
    hidden_prior: Sequence[int] = (100,),
    likelihood: str = "gaussian",
    activation: str = "relu",
    seed: int | None = None,
) -> HierarchicalMixtureVAE:
    r"""A mixture over codes whose components are moved and scaled by a further latent w.

    .. math:: w \sim \mathcal N(0, I), \quad k \sim \mathrm{Cat}(1/K), \quad
        z \mid k, w \sim \mathcal N(m_k(w), s_k^2(w)), \quad x \mid z, \qquad
        q(z, w, k \mid x) = q(z \mid x)\, q(w \mid x)\, p(k \mid z, w)

    A component may so have any shape. The paper's y, x, z are x, z, k here. To be trained by
    `anabranch.procedures.fit_gmvae`.

    Source: Dilokthanakul, Mediano, Garnelo, Lee, Salimbeni, Arulkumaran, Shanahan (2016), "Deep
    unsupervised clustering with Gaussian mixture variational autoencoders", arXiv:1611.02648. Its
    sizes are J = 200, 150 for w, and 500 hidden units, trained by Adam at 1e-4.

    Args:
        features: D.
        n_components: K.
        latent: J, size of a code z.
        latent_prior: size of w; None for J.
        hidden: hidden sizes of the encoders; the decoder has them in reverse.
        hidden_prior: hidden sizes of the network from w to the components.
        likelihood: "gaussian" with one free standard deviation, or "bernoulli" for shares in
            [0, 1].
        activation: of the hidden layers.
        seed: of the initial weights.

    Raises:
        ValueError: for fewer than one component, no w, or another likelihood.

    Example:
        >>> import torch
        >>> model = gmvae(4, 3, latent=2, hidden=[8], seed=0)
        >>> model.responsibilities(torch.zeros(5, 4)).shape
        torch.Size([3, 5])
    """
    how = NetworkOptions(activation=activation, generator=make_generator(seed))
    return HierarchicalMixtureVAE(
        features,
        n_components,
        latent,
        latent if latent_prior is None else latent_prior,
        tuple(hidden),
        hidden_prior=tuple(hidden_prior),
        likelihood=likelihood,
        **how,
    )
