"""Clusters that learn from their own more confident selves."""

import torch
from torch import Tensor


def student_log_q(z: Tensor, centers: Tensor, alpha: float = 1.0) -> Tensor:
    r"""Soft assignments of codes to centres by the kernel of a Student t.

    .. math:: q(k \mid z) \propto (1 + \lVert z - m_k \rVert^2 / \alpha)^{-(\alpha + 1) / 2}

    Source: Xie, Girshick, Farhadi (2016), "Unsupervised deep embedding for clustering analysis",
    arXiv:1511.06335.

    Args:
        z: (N, J).
        centers: (K, J).
        alpha: degrees of freedom.

    Returns:
        log q(k|z), (K, N).

    Example:
        >>> student_log_q(torch.zeros(1, 2), torch.tensor([[0.0, 0.0], [1.0, 0.0]])).exp()
        tensor([[0.6667],
                [0.3333]])
    """
    squares = (z - centers[:, None]).square().sum(-1)
    return torch.log_softmax(-0.5 * (alpha + 1) * torch.log1p(squares / alpha), dim=0)


def sharpened_targets(log_q: Tensor) -> Tensor:
    r"""What assignments are taught: more certain than they are, with clusters of equal weight.

    .. math:: p_{kn} \propto q_{kn}^2 / f_k, \qquad f_k = \sum_n q_{kn}

    normalised over k, without gradients.

    Source: Xie, Girshick, Farhadi (2016), arXiv:1511.06335, equation 3.

    Args:
        log_q: (K, N) over all rows; the sum is over what is given.

    Returns:
        (K, N) probabilities.

    Example:
        >>> sharpened_targets(torch.log(torch.tensor([[0.8, 0.5], [0.2, 0.5]])))
        tensor([[0.8960, 0.3500],
                [0.1040, 0.6500]])
    """
    log_q = log_q.detach()
    return torch.softmax(2 * log_q - torch.logsumexp(log_q, 1, keepdim=True), dim=0)


def self_training(log_q: Tensor, targets: Tensor) -> Tensor:
    r""":math:`\mathrm{KL}(p \,\|\, q) = \sum_k p_k \log(p_k / q_k)`, to minimise.

    Args:
        log_q: (K, N).
        targets: (K, N) probabilities, held fixed.

    Returns:
        (N,) in nats.

    Example:
        >>> self_training(torch.log(torch.tensor([[0.5], [0.5]])), torch.tensor([[1.0], [0.0]]))
        tensor([0.6931])
    """
    return (torch.xlogy(targets, targets) - targets * log_q).sum(0)
