"""K autoencoders, and a network that assigns each row to one of them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from anabranch.models.autoencoders.coder import LIKELIHOODS
from anabranch.networks import MLP
from anabranch.objectives import Loss, balance

# Of shares, from 0 and 1, where logits are taken; and of what numbers may differ by rounding.
EPS = 1e-6


class MixtureOfAutoencoders(nn.Module):
    r"""K autoencoders, and probabilities p(k|x) from all their codes.

    .. math:: \mathcal L = \tfrac1u E \sum_k p_k(x)\, e_k(x)
        + \alpha\, E\, H(p(x)) - \gamma\, H(E\, p(x)), \qquad
        e_k(x) = \lVert x - g_k(f_k(x)) \rVert^2

    with means over the batch, which has to be large enough to hold all clusters. The unit u is what
    there is to tell of a row, :math:`E\, e(x; \bar x) - E\, e(x; x)`: the error of the mean row
    above that of the row itself, see `measure`. Weights then mean the same for two columns and for
    hundreds of pixels. Of squared errors u is the sum of the variances; of cross-entropies the
    second term is not zero where shares are neither 0 nor 1.

    Args:
        features: D.
        n_components: K.
        latent: J, size of a code.
        hidden: hidden sizes of each encoder; its decoder has them in reverse.
        assignment: hidden sizes from the codes of all to the probabilities.
        certainty: α, of the mean entropy of p(x): assignments become certain.
        balance: γ, of the entropy of the mean of p(x): all autoencoders are used. Where it is
            not above α, assignments that do not yet depend on the row are drawn into one.
        likelihood: "gaussian" for squared errors, "bernoulli" for cross-entropies.
        activation: of the hidden layers.
        generator: source of the initial weights.

    Attributes:
        code_size: K J.
        certainty: α, a buffer that a schedule may write.
        unit: u, a buffer; 1 until `measure`.

    Batches are dicts with ``x`` (N, D).

    Raises:
        ValueError: for K or a weight out of range, or another likelihood.

    Example:
        >>> model = MixtureOfAutoencoders(3, 4, 2, (8,))
        >>> model.encode(torch.zeros(5, 3)).shape, model.responsibilities(torch.zeros(5, 3)).shape
        (torch.Size([5, 8]), torch.Size([4, 5]))
    """

    certainty: Tensor
    unit: Tensor

    def __init__(
        self,
        features: int,
        n_components: int,
        latent: int,
        hidden: Sequence[int],
        *,
        assignment: Sequence[int] = (),
        certainty: float = 0.1,
        balance: float = 0.5,
        likelihood: str = "gaussian",
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check(n_components, certainty, balance, likelihood)
        self.n_components, self.balance, self.likelihood = n_components, balance, likelihood
        self.code_size = n_components * latent
        self.register_buffer("certainty", torch.tensor(float(certainty)))
        self.register_buffer("unit", torch.ones(()))
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
        return self._errors(self.decoder(codes), x)

    def _errors(self, output: Tensor, x: Tensor) -> Tensor:
        if self.likelihood == "gaussian":
            return (x - output).square().sum(-1)
        x = x.expand_as(output)
        return binary_cross_entropy_with_logits(output, x, reduction="none").sum(-1)

    @torch.no_grad()
    def measure(self, x: Tensor) -> None:
        """Take the unit of errors from rows (N, D); where all are the same it stays as it is."""
        mean = x.mean(0).expand_as(x)
        if self.likelihood == "gaussian":
            unit = self._errors(mean, x).mean()
            rounding = EPS**2 * x.square().sum(-1).mean()
        else:
            of_mean, of_itself = (self._errors(p.logit(EPS), x).mean() for p in (mean, x))
            unit, rounding = of_mean - of_itself, EPS * x.shape[1]
        if unit > rounding:
            self.unit.copy_(unit)

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        """The error of a row under its assignments, in units, and both entropies in nats."""
        errors, log_p = self.told(batch["x"])
        error = (log_p.exp() * errors).sum(0).mean()
        entropy = balance(log_p, 0.0)
        spread = entropy - balance(log_p, 1.0)
        total = error + self.certainty * entropy - self.balance * spread
        return Loss(total, {"reconstruction": error, "entropy": entropy, "spread": spread})

    def told(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Errors of all autoencoders in units of u, and log p(k|x), (K, N) each."""
        codes = self.encoder(x)
        logits = self.assignment(codes.movedim(0, -2).flatten(-2))
        return self.errors(codes, x) / self.unit, torch.log_softmax(logits, -1).mT


def _check(n_components: int, certainty: float, balance: float, likelihood: str) -> None:
    if n_components < 1 or not certainty >= 0 or not balance >= 0:
        raise ValueError(
            "n_components must be positive, certainty and balance not negative, got "
            f"{n_components}, {certainty} and {balance}"
        )
    if likelihood not in LIKELIHOODS:
        raise ValueError(f"likelihood must be one of {LIKELIHOODS}, got {likelihood!r}")
