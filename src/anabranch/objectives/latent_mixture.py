"""What trains a mixture in a latent space, and q with it."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.objectives.mixture_bounds import LatentMixture, MixtureBound
from anabranch.objectives.posterior_penalty import PosteriorPenalty
from anabranch.objectives.supervised import cross_entropy

INFERENCES = ("invariant", "variational")
# Log-probability of labels that a labelled row does not have: no draw takes them, nothing is NaN.
NEVER = math.log(1e-30)


class LatentMixtureBound(Objective):
    r"""A lower bound of log p(x), the penalty of q(y|x), and what labels say.

    .. math:: \mathcal L = -E[\text{bound}(x)] + \text{penalty}(q)
        - w\, E_{\text{labelled}}[\log q(y \mid x)]

    A labelled row maximises the bound of log p(x, y). With ``inference="invariant"`` the bound
    takes q(y|x) as given, which learns from penalty and labels alone: what clusters are is then no
    matter of pixels. The value of the loss is minus the bound; its gradient is that of the bound's
    estimator.

    Source: Li, Zhao, Xu, Chen, Xu, Li, Pei (2021), "Unsupervised clustering through Gaussian
    mixture variational autoencoder with non-reparameterized variational inference and std
    annealing".

    Args:
        model: such as `anabranch.models.GaussianMixtureVAE`.
        bound: such as `Vimco` or `Enumerated`; see `make_bound`.
        penalty: of q(y|x) while training; None for none.
        inference: "variational", or "invariant"; see above.
        label_weight: w.
        half_precision: evaluate the networks in bfloat16, which modern processors do faster.

    Batches are dicts: ``x`` (N, D); optionally ``targets`` (N, K), rows of zeros where unknown. In
    evaluation mode the terms are ``bound``, ``entropy_q``: mean H(q(y|x)), and ``entropy_mean_q``:
    H(mean q), in nats; draws are then the same at every call.

    Raises:
        ValueError: for an unknown inference, or an invariant one with nothing to be invariant to.

    Example:
        >>> from anabranch.models import nvisa
        >>> from anabranch.objectives import Enumerated
        >>> objective = LatentMixtureBound(nvisa(4, 3, latent=2, hidden=[8], seed=0), Enumerated())
        >>> sorted(objective.eval()({"x": torch.zeros(5, 4)}).terms)
        ['bound', 'entropy_mean_q', 'entropy_q']
    """

    stochastic = True

    def __init__(
        self,
        model: LatentMixture,
        bound: MixtureBound,
        *,
        penalty: PosteriorPenalty | None = None,
        inference: str = "variational",
        label_weight: float = 1.0,
        half_precision: bool = False,
    ) -> None:
        super().__init__()
        if inference not in INFERENCES:
            raise ValueError(f"inference must be one of {INFERENCES}, got {inference!r}")
        if inference == "invariant" and penalty is None:
            raise ValueError("inference='invariant' needs a penalty, from which q(y|x) learns")
        self.model, self.bound, self.penalty = model, bound, penalty
        self.inference, self.label_weight = inference, label_weight
        self.half_precision = half_precision

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The loss of a batch; in evaluation mode with terms."""
        x = batch["x"]
        logits, penalty = self._logits(x, generator)
        log_q = own = torch.log_softmax(logits, dim=0)
        targets = batch["targets"].mT if "targets" in batch else None
        if targets is not None:
            log_q = torch.where(targets.sum(0) > 0, targets.log().clamp_min(NEVER), log_q)
        if self.inference == "invariant":
            log_q = log_q.detach()
        # in evaluation the same noise every time, so that scores can be compared
        source = generator if self.training else torch.Generator(x.device).manual_seed(0)
        bound, surrogate = self.bound(self.model, x.mT, log_q, source, half=self.half_precision)
        loss = -(bound.detach() + surrogate - surrogate.detach())
        if targets is not None:
            loss = loss + self.label_weight * cross_entropy(own, targets)
        total = loss.mean() if penalty is None else loss.mean() + penalty
        return Loss(total, {} if self.training else mixture_terms(bound, own))

    def _logits(self, x: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor | None]:
        """Logits of q(y|x), (K, N), and the penalty while training."""
        if self.penalty is None or not self.training:
            return self._answers(x), None
        return self.penalty(self._answers, x, generator)

    def _answers(self, x: Tensor) -> Tensor:
        return self.model.logits(x, half=self.half_precision)


@torch.no_grad()
def mixture_terms(bound: Tensor, log_q: Tensor) -> dict[str, Tensor]:
    """What is reported of a bound and of q(y|x): means over rows, in nats.

    Args:
        bound: (N,).
        log_q: log q(y|x), (K, N).

    Returns:
        ``bound``, ``entropy_q``: mean H(q(y|x)), and ``entropy_mean_q``: H(mean q).

    Example:
        >>> log_q = torch.tensor([[0.0, -69.0], [-69.0, 0.0]])
        >>> terms = mixture_terms(torch.zeros(2), log_q)
        >>> terms["entropy_q"].item() < 1e-9, round(terms["entropy_mean_q"].item(), 4)
        (True, 0.6931)
    """
    mean = torch.logsumexp(log_q, 1) - math.log(log_q.shape[1])
    entropies = [torch.special.entr(log_p.exp()).sum(0) for log_p in (log_q, mean)]
    names = ("bound", "entropy_q", "entropy_mean_q")
    return dict(zip(names, [bound.mean(), entropies[0].mean(), entropies[1]], strict=True))
