"""Variational autoencoder with a standard normal prior."""

from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn

from anabranch.models.autoencoders.dense_coders import Decoder, GaussianEncoder, NetworkOptions
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe


class VariationalAutoencoder(nn.Module):
    r"""A density by a latent code: a bound of :math:`\log p(x) = \log \int p(x|z) p(z) dz`.

    The expectation is that of one reparameterised draw; the divergence is exact. Models with
    another prior derive from it and have ``terms`` of their own.

    Arguments and errors are those of `anabranch.models.vae`, with a generator for the seed.

    Attributes:
        noise_size: J, numbers of noise that a row needs.

    Example:
        >>> model = VariationalAutoencoder(3, 2, (8,))
        >>> reconstruction, divergence = model.terms(torch.zeros(5, 3), torch.zeros(5, 2))
        >>> reconstruction.shape, divergence.shape
        (torch.Size([5]), torch.Size([5]))
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
        self.noise_size = latent
        self.encoder = GaussianEncoder(features, latent, hidden, **how)
        self.decoder = Decoder(features, latent, hidden[::-1], likelihood, scaled=True, **how)

    def encode(self, x: Tensor) -> Tensor:
        """Means (N, J) of the codes of rows (N, D)."""
        return self.encoder(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """Means of rows (N, D) with those codes (N, J)."""
        return self.decoder(z)

    def terms(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Log p(x|z) at one draw, and KL(q(z|x) || p(z)); their gap is the bound.

        Args:
            x: (N, D).
            noise: standard normal draws (N, J), which become draws of z.

        Returns:
            (N,) each, in nats.
        """
        loc, log_scale = self.encoder(x)
        z = loc + log_scale.exp() * noise
        divergence = 0.5 * (loc.square() + torch.exp(2 * log_scale) - 1) - log_scale
        return self.decoder.log_prob(z, x), divergence.sum(-1)


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

    To be trained by `anabranch.objectives.VariationalBound`.

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
        seed: of the initial weights.

    Raises:
        ValueError: for another likelihood.

    Example:
        >>> import torch
        >>> model = vae(4, latent=2, hidden=[8], likelihood="bernoulli", seed=0)
        >>> model.encode(torch.zeros(3, 4)).shape
        torch.Size([3, 2])
    """
    how = NetworkOptions(activation=activation, generator=make_generator(seed))
    return VariationalAutoencoder(features, latent, tuple(hidden), likelihood=likelihood, **how)
