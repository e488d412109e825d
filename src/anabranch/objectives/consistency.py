"""Regularisers of a posterior network: the same answer nearby, certain answers, all components."""

import math

import torch
from torch import Tensor


def consistency(log_q_held: Tensor, log_q: Tensor) -> Tensor:
    r"""Divergence of the answer at a perturbed point from the answer at the point, held fixed.

    .. math:: \mathrm{KL}(q' \,\|\, q'') = \sum_k q'(k)\, [\log q'(k) - \log q''(k)]

    Source: Miyato, Maeda, Koyama, Ishii (2018), "Virtual adversarial training", arXiv:1704.03976;
    Hu, Miyato, Tokui, Matsumoto, Sugiyama (2017), arXiv:1702.08720.

    Args:
        log_q_held: log q' at the points, (K, N), normalised over K; no gradient flows into it.
        log_q: log q'' at the perturbed points, (K, N).

    Returns:
        (N,) in nats, to minimise.

    Example:
        >>> half, certain = torch.tensor([[0.5], [0.5]]).log(), torch.tensor([[1.0], [0.0]]).log()
        >>> consistency(half, half), consistency(certain, half)
        (tensor([0.]), tensor([0.6931]))
    """
    held = log_q_held.detach()
    q = held.exp()
    # q' = 0 carries no weight, and 0 * inf would be NaN
    return (q * torch.where(q > 0, held - log_q, 0.0)).sum(0)


def pseudo_label_likelihood(joint_log_prob: Tensor, joint_moved: Tensor) -> Tensor:
    r"""Log-likelihood under the component that a perturbed copy looks most like.

    .. math:: \log \pi_{k'} + \log p(x \mid k'), \qquad k' = \arg\max_k\, [\log \pi_k +
        \log p(x'' \mid k)]

    Source: Izmailov, Kirichenko, Finzi, Wilson (2020), "Semi-supervised learning with normalizing
    flows", arXiv:1912.13025.

    Args:
        joint_log_prob: (K, N) at the points.
        joint_moved: (K, N) at their perturbed copies; no gradient flows into it.

    Returns:
        (N,) in nats, to maximise.

    Example:
        >>> joint = torch.log(torch.tensor([[0.1], [0.3]]))
        >>> pseudo_label_likelihood(joint, joint.flip(0)).exp()
        tensor([0.1000])
    """
    labels = joint_moved.detach().argmax(0, keepdim=True)
    return joint_log_prob.gather(0, labels).squeeze(0)


def balance(log_q: Tensor, weight: float, prior: Tensor | None = None) -> Tensor:
    r"""Certain answers that use all components, or that use them as often as a prior says.

    .. math:: E\,H(q(\cdot \mid x)) - w\, H(E\,q(\cdot \mid x)) \qquad\text{or}\qquad
        E\,H(q(\cdot \mid x)) + w\, \mathrm{KL}(E\,q(\cdot \mid x) \,\|\, \pi)

    Expectations are means over the batch. At w = 1 the first is minus the mutual information of x
    and c under q; at a uniform prior the second is the first plus w log K.

    Source: Krause, Perona, Gomes (2010), "Discriminative clustering by regularized information
    maximization"; Hu et al. (2017), arXiv:1702.08720.

    Args:
        log_q: (K, N), normalised over K; or (K, ..., N), a batch of such.
        weight: w, of the second term.
        prior: (K,) positive probabilities of the components; None for no opinion.

    Returns:
        A scalar in nats, or (...,), to minimise.

    Example:
        >>> certain = torch.log_softmax(torch.tensor([[99.0, 0.0], [0.0, 99.0]]), 0)
        >>> round(balance(certain, 1.0).item(), 4)
        -0.6931
        >>> round(balance(certain, 1.0, torch.tensor([0.5, 0.5])).item(), 4)
        0.0
    """
    entropy = _entropy(log_q).mean(-1)
    # in logs: a component without any mass has a finite gradient
    log_mean = torch.logsumexp(log_q, dim=-1) - math.log(log_q.shape[-1])
    spread = _entropy(log_mean)
    if prior is not None:
        spread = spread + torch.tensordot(prior.log(), log_mean.exp(), dims=1)
    return entropy - weight * spread


def shared_information(log_q: Tensor, log_q_moved: Tensor) -> Tensor:
    r"""Mutual information of the answers at a point and at its perturbation.

    .. math:: I = \sum_{k,l} P_{kl} \log \frac{P_{kl}}{P_k P_l}, \qquad
        P = \tfrac12 (Q + Q^\top), \quad Q_{kl} = E\, q(k \mid x)\, q(l \mid x'')

    At most log K, where answers are certain, alike and evenly spread: a score by which clusterings
    of the same rows are compared without labels.

    Source: Ji, Henriques, Vedaldi (2019), "Invariant information clustering", arXiv:1807.06653.

    Args:
        log_q: (K, ..., N), normalised over K.
        log_q_moved: (K, ..., N), at the perturbed points.

    Returns:
        A scalar in nats, or (...,).

    Example:
        >>> certain = torch.log_softmax(torch.tensor([[99.0, 0.0], [0.0, 99.0]]), 0)
        >>> round(shared_information(certain, certain).item(), 4)
        0.6931
        >>> round(shared_information(certain, torch.full((2, 2), 0.5).log()).item(), 4)
        0.0
    """
    joint = torch.einsum("k...n,l...n->kl...", log_q.exp(), log_q_moved.exp()) / log_q.shape[-1]
    joint = (joint + joint.transpose(0, 1)) / 2
    entropy = torch.special.entr(joint).sum((0, 1))
    return 2 * torch.special.entr(joint.sum(0)).sum(0) - entropy


def _entropy(log_q: Tensor) -> Tensor:
    q = log_q.exp()
    return -(q * torch.where(q > 0, log_q, 0.0)).sum(0)
