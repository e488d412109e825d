"""A mixture with a posterior network, trainable by either inference."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from anabranch.distributions import Mixture
from anabranch.models.mixtures.diagnostics import diagnostics
from anabranch.objectives import (
    Loss,
    balance,
    consistency,
    cross_entropy,
    distillation,
    elbo_enumerated,
    joint_log_likelihood,
    pseudo_label_likelihood,
)
from anabranch.transforms import BatchNorm

INFERENCES = ("exact", "variational", "invariant")
Perturbation = Callable[[Tensor, Callable[[Tensor], Tensor], torch.Generator | None], Tensor]


class MixtureModel(nn.Module):
    r"""A mixture p(x) and a network q(c|x), with the objective that trains them.

    - ``inference="variational"`` maximises the enumerated bound, q softened by a temperature.
    - ``inference="exact"`` maximises log p(x); q is taught p(c|x) alongside, at no cost to p.
    - ``inference="invariant"`` maximises the part of that bound that the components are in, under
      a q that consistency and balance alone train: on images the likelihood of pixels, hundreds
      of nats from component to component, is no clustering signal and would swamp it.
    - Rows with ``targets`` (labels) maximise log p(x, c) of their component and minimise the
      cross-entropy of q instead; soft labels average over components.
    - Rows with ``responsibilities`` maximise the expected complete-data likelihood (the M-step).
    - With a ``perturbation``, q is asked to say the same of x and of its perturbed copy, by a KL
      divergence weighted with ``consistency_weight``; ``balance_weight`` asks for certain answers
      that use all components. With ``pseudo_labels`` it is p(c|x) that is asked instead: x is
      given to the component that its perturbed copy looks most like.

    Layers of the components that normalise by the statistics of a batch (`BatchNorm`) weight its
    rows by q(c|x), so that a component is normalised by the points it owns.

    Args:
        mixture: the mixture.
        posterior: a network from (N, F) to (N, K) logits.
        inference: "exact", "variational" or "invariant".
        perturbation: a callable of the posterior's input, the function from that input to log q,
            and a generator (`anabranch.objectives.perturbations`); None for no consistency.
        consistency_weight: factor of the divergence, in nats.
        balance_weight: factor of H(q(c|x)) - 4 H(mean q).
        label_weight: what a labelled row counts, beside an unlabelled one.
        pseudo_labels: whether consistency is that of p(c|x) instead of q(c|x).

    Batches are dicts: ``x`` (N, D); optionally ``features`` (N, F), what the posterior network
    sees where that is not x; ``targets`` (N, K), rows of zeros where unknown; ``responsibilities``
    (N, K); ``term`` (N,), a constant added to the reported log-densities.

    Attributes:
        temperature: of q; part of the state.
        ramp: factor of ``consistency_weight`` for a schedule to raise; part of the state.
        generator: source of the perturbations.

    Raises:
        ValueError: for an unknown inference, or an invariant one with nothing to be invariant to.

    Source: Pires, Figueiredo (2020), arXiv:2009.00585; the consistency term as in Miyato et al.
    (2018), arXiv:1704.03976, and Hu et al. (2017), arXiv:1702.08720.
    """

    temperature: Tensor
    ramp: Tensor

    def __init__(
        self,
        mixture: Mixture,
        posterior: nn.Module,
        *,
        inference: str = "exact",
        perturbation: Perturbation | None = None,
        consistency_weight: float = 0.0,
        balance_weight: float = 0.0,
        label_weight: float = 1.0,
        pseudo_labels: bool = False,
    ) -> None:
        if inference not in INFERENCES:
            raise ValueError(f"inference must be one of {INFERENCES}, got {inference!r}")
        if inference == "invariant" and not (perturbation and consistency_weight):
            raise ValueError("inference='invariant' needs a perturbation and a consistency weight")
        super().__init__()
        self.mixture = mixture
        self.posterior = posterior
        self.inference = inference
        self.perturbation = perturbation
        self.consistency_weight = consistency_weight
        self.balance_weight = balance_weight
        self.label_weight = label_weight
        self.pseudo_labels = pseudo_labels
        self.generator: torch.Generator | None = None
        # part of the model: q scored at another temperature than it was trained at is another q
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("ramp", torch.ones(()))
        self._norms = _normalising_layers(mixture)

    def log_q(self, x: Tensor) -> Tensor:
        """Log q(c|x) at the present temperature, (K, N)."""
        return torch.log_softmax(self.posterior(x).mT / self.temperature, dim=0)

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        """The loss of a batch; in evaluation mode with diagnostics, in nats."""
        x = batch["x"]
        logits, regularisation = self._logits(batch.get("features", x))
        log_q = torch.log_softmax(logits / self.temperature, dim=0)
        joint = self._joint(x, log_q)
        loss = self._unlabelled(joint, log_q, batch)
        if "targets" in batch:
            targets = batch["targets"].mT
            labelled = cross_entropy(log_q, targets) - joint_log_likelihood(joint, targets)
            loss = torch.where(targets.sum(0) > 0, self.label_weight * labelled, loss)
        if self.pseudo_labels and self.training and self.perturbation is not None:
            regularisation = -self._pseudo_labelled(x, joint)
        total = loss.mean() if regularisation is None else loss.mean() + regularisation
        return Loss(total, {} if self.training else diagnostics(joint, log_q, batch))

    def _logits(self, seen: Tensor) -> tuple[Tensor, Tensor | None]:
        """The posterior's logits, (K, N), and the regularisation of q while training."""
        if not self.training or self.perturbation is None or self.pseudo_labels:
            return self.posterior(seen).mT, None
        moved = self.perturbation(seen, self._plain_log_q, self.generator)
        # one pass for both: small networks cost little more for twice the rows
        logits = self.posterior(torch.cat((seen, moved))).mT
        # at temperature one, so that annealing q does not turn small changes into large divergences
        log_q, log_q_moved = torch.log_softmax(logits, dim=0).split(len(seen), dim=1)
        term = self.ramp * self.consistency_weight * consistency(log_q, log_q_moved).mean()
        if self.balance_weight:
            term = term + self.balance_weight * balance(log_q, 4.0)
        return logits[:, : len(seen)], term

    def _pseudo_labelled(self, x: Tensor, joint: Tensor) -> Tensor:
        assert self.perturbation is not None
        with torch.no_grad():
            moved = self.mixture.joint_log_prob(
                self.perturbation(x, self._plain_log_q, self.generator)
            )
        likelihood = pseudo_label_likelihood(joint, moved).mean()
        return self.ramp * self.consistency_weight * likelihood

    def _plain_log_q(self, seen: Tensor) -> Tensor:
        return torch.log_softmax(self.posterior(seen).mT, dim=0)

    def _joint(self, x: Tensor, log_q: Tensor) -> Tensor:
        """Log p(x, c), (K, N), each component normalising by the points that q gives it."""
        for layer, components in self._norms if self.training else ():
            layer.row_weights = log_q[components].detach().exp()
        joint = self.mixture.joint_log_prob(x)
        for layer, _ in self._norms:
            layer.row_weights = None
        return joint

    def _unlabelled(self, joint: Tensor, log_q: Tensor, batch: dict[str, Tensor]) -> Tensor:
        if "responsibilities" in batch:
            likelihood = joint_log_likelihood(joint, batch["responsibilities"].mT)
        elif self.inference == "variational":
            return -elbo_enumerated(joint, log_q)
        elif self.inference == "invariant":
            return -joint_log_likelihood(joint, log_q.detach().exp())
        else:
            likelihood = torch.logsumexp(joint, dim=0)
        return distillation(log_q, torch.log_softmax(joint.detach(), dim=0)) - likelihood


def _normalising_layers(mixture: Mixture) -> list[tuple[BatchNorm, slice]]:
    """The batch normalisations that belong to components, with the components they belong to."""
    found, first = [], 0
    for group in mixture.groups:
        last = first + (group.batch_shape[0] if group.batch_shape else 1)
        layers = [m for m in group.modules() if isinstance(m, BatchNorm) and m.batch_shape]
        found += [(layer, slice(first, last)) for layer in layers]
        first = last
    return found
