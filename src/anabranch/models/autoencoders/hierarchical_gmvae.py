"""GMVAE: a variational autoencoder with a mixture of networks for a prior."""

import math
from collections.abc import Sequence

from anabranch.models.autoencoders.hierarchical_mixture_vae import HierarchicalMixtureVAE
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe


@recipe
def hierarchical_gmvae(
    features: int,
    n_components: int,
    *,
    latent: int = 10,
    latent_prior: int | None = None,
    hidden: Sequence[int] = (500, 500, 2000),
    hidden_prior: Sequence[int] = (100,),
    likelihood: str = "gaussian",
    information: float | None = None,
    entropy: float = 0.0,
    activation: str = "relu",
    seed: int | None = None,
) -> HierarchicalMixtureVAE:
    r"""A mixture over codes whose components are moved and scaled by a further latent w.

    .. math:: w \sim \mathcal N(0, I), \quad k \sim \mathrm{Cat}(1/K), \quad
        z \mid k, w \sim \mathcal N(m_k(w), s_k^2(w)), \quad x \mid z, \qquad
        q(z, w, k \mid x) = q(z \mid x)\, q(w \mid x)\, p(k \mid z, w)

    A component may so have any shape. The paper's y, x, z are x, z, k here.

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
        information: lambda, nats of KL(p(k|z,w) || p(k)) per row that cost nothing more: the
            minimum information constraint (second version of the paper). None for three quarters
            of log K; with 0 there is no constraint, and clusters fade from a random start.
        entropy: alpha, weight of the entropy of p(k|z,w) in the loss, the consistency violation
            (authors' code of the first version).
        activation: of the hidden layers.
        seed: of the initial weights and of the draws in training.

    Raises:
        ValueError: for fewer than one component, a negative weight, or another likelihood.

    Example:
        >>> import torch
        >>> model = hierarchical_gmvae(4, 3, latent=2, hidden=[8], seed=0)
        >>> model.responsibilities(torch.zeros(5, 4)).shape
        torch.Size([3, 5])
    """
    return HierarchicalMixtureVAE(
        features,
        n_components,
        latent,
        latent if latent_prior is None else latent_prior,
        tuple(hidden),
        hidden_prior=tuple(hidden_prior),
        likelihood=likelihood,
        information=0.75 * math.log(max(n_components, 1)) if information is None else information,
        entropy=entropy,
        activation=activation,
        generator=make_generator(seed),
    )
