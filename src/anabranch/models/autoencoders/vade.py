"""VaDE: variational deep embedding."""

import math
from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn

from anabranch.functional import bounded
from anabranch.models.autoencoders.autoencoder import Autoencoder
from anabranch.models.autoencoders.dense_coders import BOUND, NetworkOptions, unbounded
from anabranch.models.autoencoders.vae import VariationalAutoencoder
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.objectives import elbo_enumerated

LOG_2PI = math.log(2 * math.pi)


class VariationalDeepEmbedding(VariationalAutoencoder):
    """VaDE: clusters as the components of the prior of a variational autoencoder.

    Weights are a softmax, and all standard deviations are kept in logs.

    Arguments and errors are those of `anabranch.models.vade`, with a generator for the seed.

    Example:
        >>> model = VariationalDeepEmbedding(3, 4, 2, (8,))
        >>> model.responsibilities(torch.zeros(5, 3)).shape
        torch.Size([4, 5])
    """

    def __init__(
        self,
        features: int,
        n_components: int,
        latent: int,
        hidden: Sequence[int],
        *,
        likelihood: str = "gaussian",
        **how: Unpack[NetworkOptions],
    ) -> None:
        if n_components < 1:
            raise ValueError(f"n_components must be positive, got {n_components}")
        super().__init__(features, latent, hidden, likelihood=likelihood, **how)
        self.logits = nn.Parameter(torch.zeros(n_components, 1))
        self.loc = nn.Parameter(
            torch.randn(n_components, 1, latent, generator=how.get("generator"))
        )
        self.log_scale = nn.Parameter(torch.zeros(n_components, 1, latent))

    def joint_log_prob(self, loc: Tensor, variance: Tensor | float = 0.0) -> Tensor:
        r""":math:`E \log \pi_k \mathcal N(z; m_k, s_k^2)` for z with those moments, (K, N)."""
        log_scale = bounded(self.log_scale, BOUND)
        squares = ((loc - self.loc).square() + variance) * torch.exp(-2 * log_scale)
        log_prob = -0.5 * (squares + 2 * log_scale + LOG_2PI).sum(-1)
        return torch.log_softmax(self.logits, 0) + log_prob

    def responsibilities(self, x: Tensor) -> Tensor:
        """Log p(k|z) at the mean code of each row, (K, N)."""
        return torch.log_softmax(self.joint_log_prob(self.encode(x)), 0)

    def terms(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Log p(x|z) at one draw, and KL(q(z, k|x) || p(z, k)), (N,); their gap is the bound."""
        loc, log_scale = self.encoder(x)
        z = loc + log_scale.exp() * noise
        log_gamma = torch.log_softmax(self.joint_log_prob(z), 0)
        joint = self.joint_log_prob(loc, torch.exp(2 * log_scale))
        entropy = (log_scale + 0.5 * (1 + LOG_2PI)).sum(-1)
        return self.decoder.log_prob(z, x), -elbo_enumerated(joint, log_gamma) - entropy

    @torch.no_grad()
    def start_from(
        self, model: Autoencoder, error: float, weights: Tensor, means: Tensor, variances: Tensor
    ) -> None:
        """Take over an autoencoder, and a mixture on its codes as the prior.

        Args:
            model: with the same sizes.
            error: its mean squared error per feature, where the likelihood is Gaussian.
            weights: (K,).
            means: (K, J).
            variances: (K, J).
        """
        log_scale = 0.5 * variances.log()
        # narrower than the clusters, or the decoder would not know the codes it was trained on
        self.encoder.adopt(model.encoder, log_scale.mean(0) - math.log(4.0))
        self.decoder.adopt(model.decoder, error)
        self.logits.copy_(weights.log()[:, None])
        self.loc.copy_(means[:, None])
        self.log_scale.copy_(unbounded(log_scale)[:, None])


@recipe
def vade(
    features: int,
    n_components: int,
    *,
    latent: int = 10,
    hidden: Sequence[int] = (500, 500, 2000),
    likelihood: str = "gaussian",
    activation: str = "relu",
    seed: int | None = None,
) -> VariationalDeepEmbedding:
    r"""A variational autoencoder with a mixture of Gaussians for a prior.

    .. math:: \log p(x) \ge E_{q(z|x)} \log p(x \mid z)
        - \mathrm{KL}\big(q(z \mid x)\, \gamma(k \mid z) \,\|\,
        \pi_k \mathcal N(z; m_k, s_k^2)\big), \qquad
        \gamma(k \mid z) \propto \pi_k \mathcal N(z; m_k, s_k^2)

    Begin with ``start_from``: the networks of an `autoencoder`, and a Gaussian mixture on its
    codes. Go on with `anabranch.procedures.fit_vade`.

    Source: Jiang, Zheng, Tan, Tang, Zhou (2017), "Variational deep embedding: an unsupervised and
    generative approach to clustering", arXiv:1611.05148. The authors' code leaves the weights free
    and the variances unbounded; here the weights are a softmax and scales are kept in logs.

    Args:
        features: D.
        n_components: K.
        latent: J, size of a code.
        hidden: hidden sizes of the encoder; the decoder has them in reverse.
        likelihood: "gaussian" with one free standard deviation, or "bernoulli" for shares in
            [0, 1].
        activation: of the hidden layers.
        seed: of the initial weights.

    Raises:
        ValueError: for fewer than one component, or another likelihood.

    Example:
        >>> import torch
        >>> model = vade(4, 3, latent=2, hidden=[8], seed=0)
        >>> model.responsibilities(torch.zeros(5, 4)).shape
        torch.Size([3, 5])
    """
    how = NetworkOptions(activation=activation, generator=make_generator(seed))
    return VariationalDeepEmbedding(
        features, n_components, latent, tuple(hidden), likelihood=likelihood, **how
    )
