"""VaDE: variational deep embedding."""

from collections.abc import Sequence

from anabranch.models.autoencoders.variational_deep_embedding import VariationalDeepEmbedding
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe


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
    codes.

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
        seed: of the initial weights and of the draws in training.

    Raises:
        ValueError: for fewer than one component, or another likelihood.

    Example:
        >>> import torch
        >>> model = vade(4, 3, latent=2, hidden=[8], seed=0)
        >>> model.responsibilities(torch.zeros(5, 4)).shape
        torch.Size([3, 5])
    """
    return VariationalDeepEmbedding(
        features,
        n_components,
        latent,
        tuple(hidden),
        likelihood=likelihood,
        activation=activation,
        generator=make_generator(seed),
    )
