"""What to watch in a mixture with a posterior network."""

import torch
from torch import Tensor

from anabranch.objectives import elbo_enumerated


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
