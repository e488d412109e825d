"""Autoencoder, the start of most deep clustering."""

from collections.abc import Sequence

from anabranch.models.autoencoders.autoencoder_model import Autoencoder
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe


@recipe
def autoencoder(
    features: int,
    *,
    latent: int = 10,
    hidden: Sequence[int] = (500, 500, 2000),
    likelihood: str = "gaussian",
    corruption: float = 0.0,
    activation: str = "relu",
    seed: int | None = None,
) -> Autoencoder:
    r"""Codes from which rows can be told again; a mixture on the codes gives clusters.

    .. math:: \mathcal L = E\, \tfrac1D \lVert x - g(f(x)) \rVert^2

    Source: Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural
    networks"; the sizes: Xie, Girshick, Farhadi (2016), arXiv:1511.06335; the corruption: Vincent
    et al. (2010), "Stacked denoising autoencoders".

    Args:
        features: D.
        latent: J, size of a code.
        hidden: hidden sizes of the encoder; the decoder has them in reverse.
        likelihood: "gaussian" for squared errors, "bernoulli" for the cross-entropies of shares
            in [0, 1].
        corruption: probability that a feature is hidden from the encoder in training.
        activation: of the hidden layers.
        seed: of the initial weights and of the corruption.

    Raises:
        ValueError: for another likelihood, or a corruption outside [0, 1).

    Example:
        >>> import torch
        >>> model = autoencoder(4, latent=2, hidden=[8], seed=0)
        >>> model.encode(torch.zeros(3, 4)).shape
        torch.Size([3, 2])
    """
    return Autoencoder(
        features,
        latent,
        tuple(hidden),
        likelihood=likelihood,
        corruption=corruption,
        activation=activation,
        generator=make_generator(seed),
    )
