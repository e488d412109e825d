"""The objectives of a mixture p(x) with a posterior network q(c|x)."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from anabranch.contracts import Loss, Objective
from anabranch.distributions import Mixture
from anabranch.functional.averages import weighted_mean
from anabranch.objectives.consistency import pseudo_label_likelihood
from anabranch.objectives.elbo import elbo_enumerated
from anabranch.objectives.marginal import marginal_joint
from anabranch.objectives.perturbations import Perturbation
from anabranch.objectives.posterior_penalty import penalised_logits
from anabranch.objectives.supervised import cross_entropy, distillation, joint_log_likelihood
from anabranch.transforms import BatchNorm

INFERENCES = ("exact", "variational", "invariant")


class PosteriorMixture(Protocol):
    """A mixture, the network from (N, F) to the logits (N, K) of q(c|x), and q's temperature."""

    mixture: Mixture
    posterior: nn.Module
    temperature: Tensor


class MixtureObjective(Objective):
    r"""What a mixture of flows and its posterior network are trained by.

    - ``inference="variational"`` maximises the enumerated bound, q softened by its temperature:
      :math:`\sum_k q(k \mid x) [\log \pi_k + \log p(x \mid k) - \log q(k \mid x)]`.
    - ``inference="exact"`` maximises log p(x); q is taught p(c|x) alongside, at no cost to p.
    - ``inference="invariant"`` maximises the part of that bound that the components are in, under
      a q that consistency and balance alone train: on images the likelihood of pixels, hundreds
      of nats from component to component, is no clustering signal and would swamp it.
    - Rows with ``targets`` (labels) maximise log p(x, c) of their component and minimise the
      cross-entropy of q instead; soft labels average over components.
    - Rows with ``responsibilities`` maximise the expected complete-data likelihood (the M-step).
    - With a ``perturbation``, q is asked to say the same of x and of its perturbed copy, by a KL
      divergence weighted with ``consistency``; ``balance`` asks for certain answers that use all
      components. With ``pseudo_labels`` it is p(c|x) that is asked instead: x is given to the
      component that its perturbed copy looks most like.

    Layers of the components that normalise by the statistics of a batch (`BatchNorm`) weight its
    rows by q(c|x), so that a component is normalised by the points it owns.

    Args:
        model: the mixture with its network, such as `anabranch.models.MixtureModel`.
        inference: "exact", "variational" or "invariant".
        perturbation: of what the posterior network sees; None for no consistency.
        consistency: weight of the divergence, in nats.
        balance: weight of H(q(c|x)) - 4 H(mean q).
        label_weight: what a labelled row counts, beside an unlabelled one.
        pseudo_labels: whether consistency is that of p(c|x) instead of q(c|x).
        teach: whether q is taught p(c|x) alongside in exact inference. Where it is not, and nothing
            else is asked of it, it takes no part and costs no time.

    Batches are dicts: ``x`` (N, D); optionally ``features`` (N, F), what the posterior network
    sees where that is not x; ``targets`` (N, K), rows of zeros where unknown; ``responsibilities``
    (N, K); ``weights`` (N,), what each row counts; ``term`` (N,), a constant added to the reported
    log-densities; ``draws`` (N, S, D) of cells that x lacks and ``draws_log_prob`` (N, S), which in
    evaluation stand for x.

    Attributes:
        ramp: factor of ``consistency`` for a schedule to raise; part of the state.

    Raises:
        ValueError: for an unknown inference, or an invariant one with nothing to be invariant to.

    Source: Pires, Figueiredo (2020), arXiv:2009.00585; the consistency term as in Miyato et al.
    (2018), arXiv:1704.03976, and Hu et al. (2017), arXiv:1702.08720.

    Example:
        >>> from anabranch.models import flow_mixture
        >>> objective = MixtureObjective(flow_mixture(2, 3, flow=None, seed=0)).eval()
        >>> round(objective({"x": torch.zeros(4, 2)}).terms["nll"].item(), 4)
        1.8379
    """

    ramp: Tensor

    def __init__(
        self,
        model: PosteriorMixture,
        *,
        inference: str = "exact",
        perturbation: Perturbation | None = None,
        consistency: float = 0.0,
        balance: float = 0.0,
        label_weight: float = 1.0,
        pseudo_labels: bool = False,
        teach: bool = True,
    ) -> None:
        if inference not in INFERENCES:
            raise ValueError(f"inference must be one of {INFERENCES}, got {inference!r}")
        if inference == "invariant" and not (perturbation and consistency):
            raise ValueError("inference='invariant' needs a perturbation and a consistency weight")
        super().__init__()
        self.model = model
        self.inference = inference
        self.perturbation = perturbation
        self.consistency = consistency
        self.balance = balance
        self.label_weight = label_weight
        self.pseudo_labels = pseudo_labels
        self.teach = teach
        self.stochastic = perturbation is not None
        self.register_buffer("ramp", torch.ones(()))
        self._norms = _normalising_layers(model.mixture)
        model.posterior.requires_grad_(self.amortised)

    @property
    def amortised(self) -> bool:
        """Whether q takes part."""
        asked = self.teach or self.perturbation is not None or bool(self._norms)
        return asked or self.inference != "exact"

    def of(self, model: PosteriorMixture) -> "MixtureObjective":
        """The same objective of another model."""
        return MixtureObjective(
            model,
            inference=self.inference,
            perturbation=self.perturbation,
            consistency=self.consistency,
            balance=self.balance,
            label_weight=self.label_weight,
            pseudo_labels=self.pseudo_labels,
            teach=self.teach,
        )

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The loss of a batch; in evaluation mode with `mixture_diagnostics`, in nats."""
        x = batch["x"]
        log_q, regularisation = None, None
        if self.amortised:
            logits, regularisation = self._logits(batch.get("features", x), generator)
            log_q = torch.log_softmax(logits / self.model.temperature, dim=0)
        if "draws" in batch and not self.training:
            joint = marginal_joint(self.model.mixture, batch["draws"], batch["draws_log_prob"])
        else:
            joint = self._joint(x, log_q, batch.get("weights"))
        loss = self._unlabelled(joint, log_q, batch)
        if "targets" in batch:
            targets = batch["targets"].mT
            labelled = -joint_log_likelihood(joint, targets)
            if log_q is not None:
                labelled = labelled + cross_entropy(log_q, targets)
            loss = torch.where(targets.sum(0) > 0, self.label_weight * labelled, loss)
        if self.pseudo_labels and self.training and self.perturbation is not None:
            regularisation = -self._pseudo_labelled(self.perturbation, x, joint, generator)
        total = weighted_mean(loss, batch.get("weights"))
        total = total if regularisation is None else total + regularisation
        return Loss(total, {} if self.training else mixture_diagnostics(joint, log_q, batch))

    def _logits(
        self, seen: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """The posterior's logits, (K, N), and the regularisation of q while training."""
        if not self.training or self.perturbation is None or self.pseudo_labels:
            return self._raw_logits(seen), None
        moved = self.perturbation(seen, self._plain_log_q, generator)
        weight = self.ramp * self.consistency
        return penalised_logits(self._raw_logits, seen, moved, weight, self.balance)

    def _pseudo_labelled(
        self,
        perturbation: Perturbation,
        x: Tensor,
        joint: Tensor,
        generator: torch.Generator | None,
    ) -> Tensor:
        with torch.no_grad():
            moved = perturbation(x, self._plain_log_q, generator)
            joint_moved = self.model.mixture.joint_log_prob(moved)
        likelihood = pseudo_label_likelihood(joint, joint_moved).mean()
        return self.ramp * self.consistency * likelihood

    def _raw_logits(self, seen: Tensor) -> Tensor:
        return self.model.posterior(seen).mT

    def _plain_log_q(self, seen: Tensor) -> Tensor:
        return torch.log_softmax(self._raw_logits(seen), dim=0)

    def _joint(self, x: Tensor, log_q: Tensor | None, weights: Tensor | None) -> Tensor:
        """Log p(x, c), (K, N), each component normalising by the points that q gives it."""
        if self.training and log_q is not None:
            counts = 1.0 if weights is None else weights
            for layer, components in self._norms:
                layer.row_weights = log_q[components].detach().exp() * counts
        joint = self.model.mixture.joint_log_prob(x)
        for layer, _ in self._norms:
            layer.row_weights = None
        return joint

    def _unlabelled(
        self, joint: Tensor, log_q: Tensor | None, batch: Mapping[str, Tensor]
    ) -> Tensor:
        if "responsibilities" in batch:
            likelihood = joint_log_likelihood(joint, batch["responsibilities"].mT)
        elif log_q is not None and self.inference == "variational":
            return -elbo_enumerated(joint, log_q)
        elif log_q is not None and self.inference == "invariant":
            return -joint_log_likelihood(joint, log_q.detach().exp())
        else:
            likelihood = torch.logsumexp(joint, dim=0)
        if log_q is None:
            return -likelihood
        return distillation(log_q, torch.log_softmax(joint.detach(), dim=0)) - likelihood


def mixture_diagnostics(
    joint: Tensor, log_q: Tensor | None, batch: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """What to watch in a mixture with a posterior network; means over the batch, in nats.

    - ``nll`` and ``negative_elbo``, in the units of the data where the batch has its ``term``;
    - ``live_components``: those that own more than a tenth of an even share of the rows, and
      ``effective_components``: the exponential of the entropy of the shares;
    - where q takes part, ``kl_q_posterior``: KL(q || p(c|x)), ``entropy_q``: E H(q(.|x)), and
      ``entropy_mean_q``: H(E q).

    Example:
        >>> joint = torch.log(torch.tensor([[0.2, 0.1], [0.2, 0.3]]))
        >>> terms = mixture_diagnostics(joint, torch.log_softmax(joint, 0), {})
        >>> round(terms["nll"].item(), 4), terms["live_components"].item()
        (0.9163, 2.0)
    """
    weights, log_p = batch.get("weights"), torch.logsumexp(joint, dim=0)
    shares = weighted_mean((joint - log_p).exp(), weights)
    offset = weighted_mean(batch["term"], weights) if "term" in batch else 0.0
    terms = {
        "nll": -weighted_mean(log_p, weights) - offset,
        "live_components": (shares > 0.1 / len(joint)).sum().to(joint.dtype),
        "effective_components": torch.special.entr(shares).sum().exp(),
    }
    if log_q is None:
        return terms
    elbo = elbo_enumerated(joint, log_q)
    return terms | {
        "negative_elbo": -weighted_mean(elbo, weights) - offset,
        "kl_q_posterior": weighted_mean(log_p - elbo, weights),
        "entropy_q": -weighted_mean((log_q.exp() * log_q).sum(0), weights),
        "entropy_mean_q": torch.special.entr(weighted_mean(log_q.exp(), weights)).sum(),
    }


def _normalising_layers(mixture: Mixture) -> list[tuple[BatchNorm, slice]]:
    """The batch normalisations that belong to components, with the components they belong to."""
    found, first = [], 0
    for group in mixture.groups:
        last = first + (group.batch_shape[0] if group.batch_shape else 1)
        layers = [m for m in group.modules() if isinstance(m, BatchNorm) and m.batch_shape]
        found += [(layer, slice(first, last)) for layer in layers]
        first = last
    return found
