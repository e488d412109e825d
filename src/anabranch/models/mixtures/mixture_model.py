"""A mixture with a posterior network, trainable by either inference."""

import torch
from torch import Tensor, nn

from anabranch.distributions import Mixture
from anabranch.objectives import (
    Loss,
    cross_entropy,
    distillation,
    elbo_enumerated,
    joint_log_likelihood,
)

INFERENCES = ("exact", "variational")


class MixtureModel(nn.Module):
    r"""A mixture p(x) and a network q(c|x), with the objective that trains them.

    - ``inference="variational"`` maximises the enumerated bound, q softened by a temperature.
    - ``inference="exact"`` maximises log p(x); q is taught p(c|x) alongside, at no cost to p.
    - Rows with ``targets`` (labels) maximise log p(x, c) of their component and minimise the
      cross-entropy of q instead; soft labels average over components.
    - Rows with ``responsibilities`` maximise the expected complete-data likelihood (the M-step).

    Args:
        mixture: the mixture.
        posterior: a network from (N, D) to (N, K) logits.
        inference: "exact" or "variational".

    Batches are dicts: ``x`` (N, D); optionally ``targets`` (N, K), rows of zeros where unknown;
    ``responsibilities`` (N, K); ``term`` (N,), a constant added to the reported log-densities.

    Raises:
        ValueError: for an unknown inference.
    """

    temperature: Tensor

    def __init__(self, mixture: Mixture, posterior: nn.Module, *, inference: str = "exact") -> None:
        if inference not in INFERENCES:
            raise ValueError(f"inference must be one of {INFERENCES}, got {inference!r}")
        super().__init__()
        self.mixture = mixture
        self.posterior = posterior
        self.inference = inference
        # part of the model: q scored at another temperature than it was trained at is another q
        self.register_buffer("temperature", torch.ones(()))

    def log_q(self, x: Tensor) -> Tensor:
        """Log q(c|x) at the present temperature, (K, N)."""
        return torch.log_softmax(self.posterior(x).mT / self.temperature, dim=0)

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        """The loss of a batch; in evaluation mode with diagnostics, in nats."""
        x = batch["x"]
        joint = self.mixture.joint_log_prob(x)
        log_q = self.log_q(x)
        loss = self._unlabelled(joint, log_q, batch)
        if "targets" in batch:
            targets = batch["targets"].mT
            labelled = cross_entropy(log_q, targets) - joint_log_likelihood(joint, targets)
            loss = torch.where(targets.sum(0) > 0, labelled, loss)
        return Loss(loss.mean(), {} if self.training else diagnostics(joint, log_q, batch))

    def _unlabelled(self, joint: Tensor, log_q: Tensor, batch: dict[str, Tensor]) -> Tensor:
        if "responsibilities" in batch:
            likelihood = joint_log_likelihood(joint, batch["responsibilities"].mT)
        elif self.inference == "variational":
            return -elbo_enumerated(joint, log_q)
        else:
            likelihood = torch.logsumexp(joint, dim=0)
        return distillation(log_q, torch.log_softmax(joint.detach(), dim=0)) - likelihood


def diagnostics(joint: Tensor, log_q: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """What to watch in a mixture; means over the batch, in nats.

    - ``nll`` and ``negative_elbo``, in the units of the data where the batch has its ``term``;
    - ``kl_q_posterior``: KL(q || p(c|x)), ``entropy_q``: E H(q(.|x)), ``entropy_mean_q``: H(E q);
    - ``live_components``: those that own more than a tenth of an even share of the rows, and
      ``effective_components``: the exponential of the entropy of the shares.

    Example:
        >>> joint = torch.log(torch.tensor([[0.2, 0.1], [0.2, 0.3]]))
        >>> terms = diagnostics(joint, torch.log_softmax(joint, 0), {})
        >>> round(terms["nll"].item(), 4), terms["live_components"].item()
        (0.9163, 2.0)
    """
    log_p = torch.logsumexp(joint, dim=0)
    posterior = (joint - log_p).exp()
    elbo = elbo_enumerated(joint, log_q)
    offset = batch["term"].mean() if "term" in batch else 0.0
    mean_q = log_q.exp().mean(1)
    n_components = len(joint)
    return {
        "nll": -log_p.mean() - offset,
        "negative_elbo": -elbo.mean() - offset,
        "kl_q_posterior": (log_p - elbo).mean(),
        "entropy_q": -(log_q.exp() * log_q).sum(0).mean(),
        "entropy_mean_q": torch.special.entr(mean_q).sum(),
        "live_components": (posterior.mean(1) > 0.1 / n_components).sum().to(joint.dtype),
        "effective_components": torch.special.entr(posterior.mean(1)).sum().exp(),
    }
