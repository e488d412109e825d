"""Variational autoencoder with a standard normal prior."""

from collections.abc import Sequence

from anabranch.models.autoencoders.variational_autoencoder import VariationalAutoencoder
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe


@recipe
def vae(
    features: int,
    *,
    latent: int = 10,
    hidden: Sequence[int] = (500, 500, 2000),
    likelihood: str = "gaussian",
    activation: str = "relu",
    seed: int | None = None,
) -> VariationalAutoencoder:
    r"""Codes that together look like a normal; a mixture on their means gives clusters.

    .. math:: \log p(x) \ge E_{q(z|x)} \log p(x \mid z)
        - \mathrm{KL}(q(z \mid x) \,\|\, \mathcal N(0, I))

    Source: Kingma, Welling (2013), "Auto-encoding variational Bayes", arXiv:1312.6114; the free
    standard deviation of a Gaussian: Rybkin, Daniilidis, Levine (2020), "Simple and effective VAE
    training with calibrated decoders", arXiv:2006.13202.

    Args:
        features: D.
        latent: J, size of a code.
        hidden: hidden sizes of the encoder; the decoder has them in reverse.
        likelihood: "gaussian" with one free standard deviation, or "bernoulli" for shares in
            [0, 1].
        activation: of the hidden layers.
        seed: of the initial weights and of the draws in training.

    Raises:
        ValueError: for another likelihood.

    Example:
        >>> import torch
        >>> model = vae(4, latent=2, hidden=[8], likelihood="bernoulli", seed=0)
        >>> model.encode(torch.zeros(3, 4)).shape
        torch.Size([3, 2])
    """
    return VariationalAutoencoder(
        features,
        latent,
        tuple(hidden),
        likelihood=likelihood,
        activation=activation,
        generator=make_generator(seed),
    )
