"""GM-GAN: a generative adversarial network over a mixture of Gaussians."""

from collections.abc import Sequence

from anabranch.models.autoencoders.mixture_gan import MixtureGAN
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe


@recipe
def gmgan(
    features: int,
    n_components: int,
    *,
    latent: int = 10,
    hidden: Sequence[int] = (256, 256),
    means: Sequence[Sequence[float]] | None = None,
    spread: float = 1.0,
    scale: float = 0.15,
    dynamic: bool = False,
    likelihood: str = "gaussian",
    activation: str = "relu",
    seed: int | None = None,
) -> MixtureGAN:
    r"""A generator that makes each cluster from a Gaussian of its own, and a classifier of them.

    .. math:: x' = g(m_k + A_k \epsilon), \qquad k \sim 1/K, \quad \epsilon \sim \mathcal N(0, I)

    As the generator is continuous and the Gaussians lie apart, each makes one kind of rows. A
    classifier learns from draws which is which, and is then asked about rows: the clusters. To be
    trained by `anabranch.procedures.fit_gmgan`. With ``n_components=1, spread=0, scale=1``
    it is the common network, over a standard normal.

    Source: Ben-Yosef, Weinshall (2018), "Gaussian mixture generative adversarial networks for
    diverse datasets, and the unsupervised clustering of images", arXiv:1808.10356.

    Args:
        features: D.
        n_components: K.
        latent: J.
        hidden: hidden sizes of critic and classifier; the generator has them in reverse.
        means: (K, J), the :math:`m_k`; None for uniform ones within ``spread``.
        spread: c, of means in [-c, c].
        scale: σ; static Gaussians have :math:`A_k = \sigma I`.
        dynamic: whether :math:`m_k` and :math:`A_k` are learned; then
            :math:`\lVert A_k \rVert_F = \sigma \sqrt J`, so that no Gaussian can shrink to a point.
        likelihood: "gaussian" for real rows, "bernoulli" for rows in [0, 1].
        activation: of the hidden layers.
        seed: of the initial weights and the means.

    Raises:
        ValueError: for K, spread or scale out of range, means of another shape, no hidden layer, or
            another likelihood.

    Example:
        >>> import torch
        >>> model = gmgan(4, 3, latent=2, hidden=[8], seed=0)
        >>> model.sample(5, component=2).shape, model.encode(torch.zeros(5, 4)).shape
        (torch.Size([5, 4]), torch.Size([5, 8]))
    """
    return MixtureGAN(
        features,
        n_components,
        latent,
        tuple(hidden),
        means=means,
        spread=spread,
        scale=scale,
        dynamic=dynamic,
        likelihood=likelihood,
        activation=activation,
        generator=make_generator(seed),
    )
