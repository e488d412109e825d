"""What trains a deep density model without inverting it: three terms, and an encoder."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, relu

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.distributions import Flow, LogisticBeta
from anabranch.functional.numbers import check_not_negative, check_positive
from anabranch.transforms import DenseLinear

MARGIN = 1e-4  # of shares, whose variance and logarithms stay finite


class DeepDensityLoss(Objective):
    r"""Beta marginals of encoded rows, matrices that can be inverted, and reconstruction.

    .. math:: \mathcal L = w_D \sum_d \mathrm{KL}\bigl(\mathrm{Beta}(\hat\alpha_d, \hat\beta_d)
        \,\|\,
        \mathrm{Beta}(\alpha, \beta)\bigr) + w_I \sum_l \Bigl[\log\tfrac{s_{\max}(W_l)}
        {s_{\min}(W_l)} - \log\kappa\Bigr]_+ + w_R \sum_d \mathrm{H}\bigl(x_d, f(g(x))_d\bigr)
        + w_C \overline{r_{ij}^2}

    The encoder g is any network and serves in training only: its outputs are logits of latents,
    whose betas :math:`\hat\alpha, \hat\beta` are fitted to the batch by moments. H is the
    cross-entropy. Marginals say nothing of dependence, which the paper leaves to itself; r are the
    correlations of latents, whose weight :math:`w_C` is zero there.

    Source: Rippel, Adams (2013), "High-dimensional probability estimation with deep density
    models", arXiv:1302.5125.

    Args:
        flow: an `anabranch.models.deep_density`, without a component axis.
        encoder: g, from (N, D) to (N, D).
        divergence: :math:`w_D`.
        invertibility: :math:`w_I`.
        reconstruction: :math:`w_R`.
        decorrelation: :math:`w_C`.
        condition: :math:`\kappa`, a condition number that costs nothing.

    Raises:
        ValueError: for a weight below zero, a condition that is not positive, or another flow.

    Batches are dicts with ``x`` (N, D) of shares in [0, 1].

    Example:
        >>> from anabranch.models import deep_density
        >>> objective = DeepDensityLoss(deep_density(3, seed=0), nn.Linear(3, 3))
        >>> sorted(objective({"x": torch.rand(8, 3)}).terms)
        ['decorrelation', 'divergence', 'invertibility', 'reconstruction']
    """

    def __init__(
        self,
        flow: Flow,
        encoder: nn.Module,
        *,
        divergence: float = 1.0,
        invertibility: float = 1.0,
        reconstruction: float = 1.0,
        decorrelation: float = 0.0,
        condition: float = 10.0,
    ) -> None:
        super().__init__()
        if not isinstance(flow.base, LogisticBeta) or flow.batch_shape:
            raise ValueError(f"flow must be one deep_density, got {flow}")
        self.flow, self.encoder = flow, encoder
        self.divergence, self.invertibility = divergence, invertibility
        self.reconstruction, self.decorrelation = reconstruction, decorrelation
        self.condition = condition
        check_not_negative(self, ("divergence", "invertibility", "reconstruction", "decorrelation"))
        check_positive(self, ("condition",))
        self.matrices = [part for part in flow.modules() if isinstance(part, DenseLinear)]

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The loss of a batch, and its four terms."""
        x = batch["x"]
        logits = self.encoder(x)
        z = torch.sigmoid(logits).clamp(MARGIN, 1 - MARGIN)
        base: LogisticBeta = self.flow.base  # pyright: ignore[reportAssignmentType]
        told = self.flow.transform.decode(torch.logit(z))[0].clamp(MARGIN, 1 - MARGIN)
        terms = {
            "divergence": beta_divergence(z, base.alpha, base.beta).sum(),
            "invertibility": self._conditions(),
            "reconstruction": binary_cross_entropy(told, x, reduction="none").sum(-1).mean(),
            "decorrelation": _correlation(logits),
        }
        total = torch.stack([getattr(self, name) * term for name, term in terms.items()]).sum()
        return Loss(total, terms)

    def _conditions(self) -> Tensor:
        """How far log condition numbers are above what costs nothing, in the sum of layers."""
        limit = torch.log(torch.tensor(self.condition))
        logs = [torch.linalg.svdvals(part.matrix).log() for part in self.matrices]
        return torch.stack([relu(s.amax() - s.amin() - limit) for s in logs]).sum()


def beta_divergence(z: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    r"""The divergence of betas fitted to columns by moments from one beta law, in nats.

    Args:
        z: shares in (0, 1), (N, D).
        alpha: of the law, a number.
        beta: likewise.

    Returns:
        (D,).

    Example:
        >>> z = torch.linspace(0.001, 0.999, 999).unsqueeze(-1)  # uniform, Beta(1, 1)
        >>> bool(beta_divergence(z, torch.tensor(1.0), torch.tensor(1.0)) < 1e-3)
        True
    """
    mean, variance = z.mean(0), z.var(0, correction=0).clamp_min(1e-8)
    # a law on [0, 1] has no variance above m (1 - m): the sum of both parameters is positive
    total = (mean * (1 - mean) / variance - 1).clamp_min(1e-3)
    a, b = mean * total, (1 - mean) * total
    level = _log_beta(alpha, beta) - _log_beta(a, b)
    first, second, both = (torch.digamma(p) for p in (a, b, a + b))
    return level + (a - alpha) * first + (b - beta) * second + (alpha - a + beta - b) * both


def _log_beta(a: Tensor, b: Tensor) -> Tensor:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)


def _correlation(y: Tensor) -> Tensor:
    """The mean square of correlations of different columns."""
    centred = y - y.mean(0)
    scaled = centred / centred.square().mean(0).add(1e-8).sqrt()
    gram = scaled.mT @ scaled / len(y)
    d = y.shape[1]
    return (gram.square().sum() - gram.diagonal().square().sum()) / max(1, d * (d - 1))
