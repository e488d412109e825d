"""Terms for labelled points and for teaching a posterior network."""

import torch
from torch import Tensor


def joint_log_likelihood(joint_log_prob: Tensor, targets: Tensor) -> Tensor:
    r""":math:`\sum_k t_k [\log \pi_k + \log p(x \mid k)]`: only the labelled component learns.

    Args:
        joint_log_prob: (K, N).
        targets: (K, N) probabilities of the components, one-hot for hard labels.

    Returns:
        (N,) in nats, to maximise.

    Example:
        >>> joint = torch.log(torch.tensor([[0.1], [0.3]]))
        >>> joint_log_likelihood(joint, torch.tensor([[0.0], [1.0]])).exp()
        tensor([0.3000])
    """
    return (targets * torch.where(targets > 0, joint_log_prob, 0.0)).sum(0)


def cross_entropy(log_q: Tensor, targets: Tensor) -> Tensor:
    r""":math:`-\sum_k t_k \log q(k \mid x)`, to minimise (the thesis' code has the wrong sign).

    Args:
        log_q: (K, N), normalised over K.
        targets: (K, N) probabilities.

    Returns:
        (N,) in nats.

    Example:
        >>> cross_entropy(torch.log(torch.tensor([[0.25], [0.75]])), torch.tensor([[1.0], [0.0]]))
        tensor([1.3863])
    """
    return -(targets * torch.where(targets > 0, log_q, 0.0)).sum(0)


def distillation(log_q: Tensor, log_posterior: Tensor) -> Tensor:
    r"""Teach q the exact posterior: the cross-entropy of q under p(k | x), which is held fixed.

    Args:
        log_q: (K, N).
        log_posterior: (K, N); no gradient flows into it.

    Returns:
        (N,) in nats.

    Example:
        >>> log_p = torch.log(torch.tensor([[0.5], [0.5]]))
        >>> distillation(log_p, log_p)
        tensor([0.6931])
    """
    return cross_entropy(log_q, log_posterior.detach().exp())
