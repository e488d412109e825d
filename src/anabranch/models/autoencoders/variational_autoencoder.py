"""The variational autoencoder."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from anabranch.models.autoencoders.coder import Decoder, GaussianEncoder, normal_noise
from anabranch.objectives import Loss


class VariationalAutoencoder(nn.Module):
    r"""A density by a latent code: a bound of :math:`\log p(x) = \log \int p(x|z) p(z) dz`.

    .. math:: E_{q(z|x)} \log p(x \mid z) - \mathrm{KL}(q(z \mid x) \,\|\, \mathcal N(0, I))

    The expectation is that of one reparameterised draw; the divergence is exact. Models with
    another prior derive from it and have ``terms`` of their own.

    Args:
        features: D.
        latent: J, size of a code.
        hidden: hidden sizes of the encoder; the decoder has them in reverse.
        likelihood: "gaussian" (with one free standard deviation), or "bernoulli".
        activation: of the hidden layers.
        generator: source of the initial weights and of the draws.

    Batches are dicts with ``x`` (N, D).

    Raises:
        ValueError: for another likelihood.

    Example:
        >>> model = VariationalAutoencoder(3, 2, (8,)).eval()
        >>> sorted(model({"x": torch.zeros(5, 3)}).terms)
        ['divergence', 'reconstruction']
    """

    def __init__(
        self,
        features: int,
        latent: int,
        hidden: Sequence[int],
        *,
        likelihood: str = "gaussian",
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.generator = generator
        common: dict[str, Any] = {"activation": activation, "generator": generator}
        self.encoder = GaussianEncoder(features, latent, hidden, **common)
        self.decoder = Decoder(features, latent, hidden[::-1], likelihood, scaled=True, **common)

    def encode(self, x: Tensor) -> Tensor:
        """Means (N, J) of the codes of rows (N, D)."""
        return self.encoder(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """Means of rows (N, D) with those codes (N, J)."""
        return self.decoder(z)

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        """Minus the bound, mean over rows, in nats."""
        reconstruction, divergence = self.terms(batch["x"])
        terms = {"reconstruction": -reconstruction.mean(), "divergence": divergence.mean()}
        return Loss(terms["reconstruction"] + terms["divergence"], terms)

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log p(x|z) at one draw, and KL(q(z|x) || p(z)), (N,) each; their gap is the bound."""
        loc, log_scale = self.encoder(x)
        z = loc + log_scale.exp() * normal_noise(loc, self.training, self.generator)
        divergence = 0.5 * (loc.square() + torch.exp(2 * log_scale) - 1) - log_scale
        return self.decoder.log_prob(z, x), divergence.sum(-1)
