"""Autoencoder, the start of most deep clustering."""

from collections.abc import Sequence
from typing import Unpack

from torch import Tensor, nn

from anabranch.models.autoencoders.dense_coders import Decoder, NetworkOptions
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.networks import MLP


class Autoencoder(nn.Module):
    """An encoder f to codes, and a decoder g from which rows can be told again.

    Arguments and errors are those of `anabranch.models.autoencoder`, with a generator for the seed.

    Example:
        >>> import torch
        >>> model = Autoencoder(3, 2, (8,))
        >>> model.encode(torch.zeros(5, 3)).shape, model.decode(torch.zeros(5, 2)).shape
        (torch.Size([5, 2]), torch.Size([5, 3]))
    """

    def __init__(
        self,
        features: int,
        latent: int,
        hidden: Sequence[int],
        *,
        likelihood: str = "gaussian",
        **how: Unpack[NetworkOptions],
    ) -> None:
        super().__init__()
        self.encoder = MLP(features, latent, hidden, **how)
        self.decoder = Decoder(features, latent, hidden[::-1], likelihood, **how)

    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, J) of rows (N, D)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Means of rows (N, D) with those codes (N, J)."""
        return self.decoder(z)

    def error(self, z: Tensor, x: Tensor) -> Tensor:
        """Error (N,) of rows (N, D) told from codes (N, J), mean over the features."""
        return self.decoder.error(z, x)


@recipe
def autoencoder(
    features: int,
    *,
    latent: int = 10,
    hidden: Sequence[int] = (500, 500, 2000),
    likelihood: str = "gaussian",
    activation: str = "relu",
    seed: int | None = None,
) -> Autoencoder:
    r"""Codes from which rows can be told again; a mixture on the codes gives clusters.

    .. math:: z = f(x), \qquad \hat x = g(z)

    To be trained by `anabranch.objectives.Reconstruction`.

    Source: Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural
    networks"; the sizes: Xie, Girshick, Farhadi (2016), arXiv:1511.06335.

    Args:
        features: D.
        latent: J, size of a code.
        hidden: hidden sizes of the encoder; the decoder has them in reverse.
        likelihood: "gaussian" for squared errors, "bernoulli" for the cross-entropies of shares
            in [0, 1].
        activation: of the hidden layers.
        seed: of the initial weights.

    Raises:
        ValueError: for another likelihood.

    Example:
        >>> import torch
        >>> model = autoencoder(4, latent=2, hidden=[8], seed=0)
        >>> model.encode(torch.zeros(3, 4)).shape
        torch.Size([3, 2])
    """
    how = NetworkOptions(activation=activation, generator=make_generator(seed))
    return Autoencoder(features, latent, tuple(hidden), likelihood=likelihood, **how)
