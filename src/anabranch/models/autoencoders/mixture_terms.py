"""What is reported of a bound and of q(y|x)."""

import math

import torch
from torch import Tensor


@torch.no_grad()
def mixture_terms(bound: Tensor, log_q: Tensor) -> dict[str, Tensor]:
    """Means over rows, in nats.

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
