"""Clusters in the space of codes, taught by their own confident assignments."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from anabranch.models.autoencoders.autoencoder_model import Autoencoder
from anabranch.models.autoencoders.coder import Decoder
from anabranch.networks import MLP
from anabranch.objectives import Loss, self_training, sharpened_targets, student_log_q


class EmbeddedClustering(nn.Module):
    r"""An encoder and K centres.

    .. math:: \mathcal L = E\, \mathrm{KL}(p \,\|\, q(\cdot \mid f(x)))
        + w\, E\, \tfrac1D \lVert x - g(f(x)) \rVert^2

    with q from `anabranch.objectives.student_log_q`, and p from `sharpened_targets` of q over all
    rows, renewed from time to time.

    Args:
        features: D.
        n_components: K.
        latent: J, size of a code.
        hidden: hidden sizes of the encoder; a decoder has them in reverse.
        alpha: degrees of freedom of q.
        reconstruction: w; at 0 there is no decoder.
        likelihood: "gaussian" for squared errors, "bernoulli" for cross-entropies.
        activation: of the hidden layers.
        generator: source of the initial weights.

    Batches are dicts with ``x`` (N, D) and ``targets`` (N, K); without targets those of the batch
    itself are taken. In evaluation mode there is a term ``certainty``: E max q.

    Raises:
        ValueError: for K, alpha or a weight out of range, or another likelihood.

    Example:
        >>> model = EmbeddedClustering(3, 4, 2, (8,))
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
        alpha: float = 1.0,
        reconstruction: float = 0.0,
        likelihood: str = "gaussian",
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if n_components < 1 or not alpha > 0 or not reconstruction >= 0:
            raise ValueError(
                "n_components and alpha must be positive and reconstruction not negative, got "
                f"{n_components}, {alpha} and {reconstruction}"
            )
        self.alpha, self.reconstruction = alpha, reconstruction
        self.encoder = MLP(features, latent, hidden, activation=activation, generator=generator)
        self.decoder = None
        if reconstruction:
            self.decoder = Decoder(
                features,
                latent,
                hidden[::-1],
                likelihood,
                activation=activation,
                generator=generator,
            )
        self.centers = nn.Parameter(torch.randn(n_components, latent, generator=generator))

    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, J) of rows (N, D)."""
        return self.encoder(x)

    def responsibilities(self, x: Tensor) -> Tensor:
        """Log q(k|x), (K, N)."""
        return student_log_q(self.encoder(x), self.centers, self.alpha)

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        """The divergence from the targets, and the reconstruction error; means over the batch."""
        x = batch["x"]
        z = self.encoder(x)
        log_q = student_log_q(z, self.centers, self.alpha)
        targets = batch["targets"].mT if "targets" in batch else sharpened_targets(log_q)
        total = self_training(log_q, targets).mean()
        terms = {"self_training": total}
        if self.decoder is not None:
            terms["reconstruction"] = self.decoder.error(z, x).mean()
            total = total + self.reconstruction * terms["reconstruction"]
        if not self.training:
            terms["certainty"] = log_q.amax(0).exp().mean()
        return Loss(total, terms)

    @torch.no_grad()
    def start_from(self, model: Autoencoder, centers: Tensor) -> None:
        """Take over the networks of an autoencoder, and centres (K, J) among its codes."""
        self.encoder.load_state_dict(model.encoder.state_dict())
        self.centers.copy_(centers)
        if self.decoder is not None:
            self.decoder.load_state_dict(model.decoder.state_dict())
