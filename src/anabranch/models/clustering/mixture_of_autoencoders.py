"""K autoencoders, and a network that assigns each row to one of them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from anabranch.models.clustering.coder import LIKELIHOODS
from anabranch.networks import MLP
from anabranch.objectives import Loss, balance


class MixtureOfAutoencoders(nn.Module):
    r"""K autoencoders, and probabilities p(k|x) from all their codes.

    .. math:: \mathcal L = E \sum_k p_k(x) \lVert x - g_k(f_k(x)) \rVert^2
        + \alpha\, E\, H(p(x)) - \gamma\, H(E\, p(x))

    with means over the batch, which has to be large enough to hold all clusters.

    Args:
        features: D.
        n_components: K.
        latent: J, size of a code.
        hidden: hidden sizes of each encoder; its decoder has them in reverse.
        assignment: hidden sizes from the codes of all to the probabilities.
        certainty: α, of the mean entropy of p(x): assignments become certain.
        balance: γ, of the entropy of the mean of p(x): all autoencoders are used.
        likelihood: "gaussian" for squared errors, "bernoulli" for cross-entropies.
        activation: of the hidden layers.
        generator: source of the initial weights.

    Attributes:
        code_size: K J.
        certainty: α, a buffer that a schedule may write.

    Batches are dicts with ``x`` (N, D).

    Raises:
        ValueError: for K or a weight out of range, or another likelihood.

    Example:
        >>> model = MixtureOfAutoencoders(3, 4, 2, (8,))
        >>> model.encode(torch.zeros(5, 3)).shape, model.responsibilities(torch.zeros(5, 3)).shape
        (torch.Size([5, 8]), torch.Size([4, 5]))
    """

    certainty: Tensor

    def __init__(
        self,
        features: int,
        n_components: int,
        latent: int,
        hidden: Sequence[int],
        *,
        assignment: Sequence[int] = (),
        certainty: float = 2.0,
        balance: float = 10.0,
        likelihood: str = "gaussian",
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check(n_components, certainty, balance, likelihood)
        self.n_components, self.balance, self.likelihood = n_components, balance, likelihood
        self.code_size = n_components * latent
        self.register_buffer("certainty", torch.tensor(float(certainty)))
        shared = {"activation": activation, "generator": generator}
        stacked = {**shared, "batch_shape": (n_components,)}
        self.encoder = MLP(features, latent, hidden, **stacked)
        self.decoder = MLP(latent, features, hidden[::-1], **stacked)
        self.assignment = MLP(n_components * latent, n_components, assignment, **shared)

    def encode(self, x: Tensor) -> Tensor:
        """Codes of all autoencoders beside each other, (N, K J), of rows (N, D)."""
        return self.encoder(x).movedim(0, -2).flatten(-2)

    def responsibilities(self, x: Tensor) -> Tensor:
        """Log p(k|x), (K, N)."""
        return torch.log_softmax(self.assignment(self.encode(x)), -1).mT

    def reconstruct(self, x: Tensor) -> Tensor:
        """Rows as each autoencoder tells them again, (K, N, D)."""
        output = self.decoder(self.encoder(x))
        return output if self.likelihood == "gaussian" else output.sigmoid()

    def errors(self, codes: Tensor, x: Tensor) -> Tensor:
        """Squared error, or cross-entropy in nats, of each with its codes (K, N, J), (K, N)."""
        output = self.decoder(codes)
        if self.likelihood == "gaussian":
            return (x - output).square().sum(-1)
        x = x.expand_as(output)
        return binary_cross_entropy_with_logits(output, x, reduction="none").sum(-1)

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        """The error of a row under its assignments, and both entropies in nats."""
        x = batch["x"]
        codes = self.encoder(x)
        log_p = torch.log_softmax(self.assignment(codes.movedim(0, -2).flatten(-2)), -1).mT
        error = (log_p.exp() * self.errors(codes, x)).sum(0).mean()
        entropy = balance(log_p, 0.0)
        spread = entropy - balance(log_p, 1.0)
        total = error + self.certainty * entropy - self.balance * spread
        return Loss(total, {"reconstruction": error, "entropy": entropy, "spread": spread})


def _check(n_components: int, certainty: float, balance: float, likelihood: str) -> None:
    if n_components < 1 or not certainty >= 0 or not balance >= 0:
        raise ValueError(
            "n_components must be positive, certainty and balance not negative, got "
            f"{n_components}, {certainty} and {balance}"
        )
    if likelihood not in LIKELIHOODS:
        raise ValueError(f"likelihood must be one of {LIKELIHOODS}, got {likelihood!r}")
