"""The plain autoencoder."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from anabranch.models.autoencoders.coder import Decoder
from anabranch.networks import MLP
from anabranch.objectives import Loss


class Autoencoder(nn.Module):
    r"""Codes from which rows can be told again.

    .. math:: \mathcal L = E\, \tfrac1D \lVert x - g(f(\tilde x)) \rVert^2

    or the cross-entropy in place of the square. Features of :math:`\tilde x` are set to zero with a
    probability in training, and are those of x otherwise.

    Args:
        features: D.
        latent: J, size of a code.
        hidden: hidden sizes of the encoder; the decoder has them in reverse.
        likelihood: "gaussian" for squared errors, "bernoulli" for cross-entropies.
        corruption: probability that a feature is hidden from the encoder in training.
        activation: of the hidden layers.
        generator: source of the initial weights and of the corruption.

    Batches are dicts with ``x`` (N, D).

    Raises:
        ValueError: for another likelihood, or a corruption outside [0, 1).

    Example:
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
        corruption: float = 0.0,
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= corruption < 1:
            raise ValueError(f"corruption must be in [0, 1), got {corruption}")
        self.corruption, self.generator = corruption, generator
        self.encoder = MLP(features, latent, hidden, activation=activation, generator=generator)
        self.decoder = Decoder(
            features, latent, hidden[::-1], likelihood, activation=activation, generator=generator
        )

    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, J) of rows (N, D)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Means of rows (N, D) with those codes (N, J)."""
        return self.decoder(z)

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        """The reconstruction error of a batch, mean over rows and features."""
        x = batch["x"]
        error = self.decoder.error(self.encoder(self._corrupted(x)), x).mean()
        return Loss(error, {"reconstruction": error})

    def _corrupted(self, x: Tensor) -> Tensor:
        if not (self.training and self.corruption):
            return x
        device = "cpu" if self.generator is None else self.generator.device
        kept = torch.rand(x.shape, generator=self.generator, device=device) >= self.corruption
        return x * kept.to(x)
