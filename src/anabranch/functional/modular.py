"""Arithmetic modulo K on one-hot vectors, and on mixtures of them."""

import math

import torch
from torch import Tensor


def shifted(x: Tensor, by: Tensor) -> Tensor:
    r"""Take a number away from another, modulo K.

    .. math:: z_k = \sum_m b_m\, x_{(k + m) \bmod K}

    Args:
        x: (..., K) one-hot vectors, or probabilities.
        by: (..., K) likewise; of a one-hot m, what stands at k + m moves to k.

    Returns:
        (..., K).

    Example:
        >>> eye = torch.eye(5)
        >>> shifted(eye[1], eye[3]).argmax()  # 1 - 3 = 3 modulo 5
        tensor(3)
    """
    levels = x.shape[-1]
    k = torch.arange(levels, device=x.device)
    table = x[..., (k.unsqueeze(-1) + k) % levels]
    return (table * by.unsqueeze(-2)).sum(-1)


def divided(x: Tensor, by: Tensor) -> Tensor:
    r"""Divide a number by another that is coprime with K, modulo K.

    .. math:: z_k = \sum_s b_s\, x_{s k \bmod K}

    Args:
        x: (..., K) one-hot vectors, or probabilities.
        by: (..., K) likewise, zero at all that are not coprime with K.

    Example:
        >>> eye = torch.eye(5)
        >>> divided(eye[1], eye[3]).argmax()  # 3 times 2 is 1 modulo 5
        tensor(2)
    """
    levels = x.shape[-1]
    k = torch.arange(levels, device=x.device)
    table = x[..., (k.unsqueeze(-1) * k) % levels]
    return (table * by.unsqueeze(-2)).sum(-1)


def negative(x: Tensor) -> Tensor:
    """The number that gives zero with this one, modulo K: one-hot vectors (..., K)."""
    return x.roll(-1, -1).flip(-1)


def inverse(x: Tensor) -> Tensor:
    """The number that gives one with this one, modulo K: coprime one-hot vectors (..., K).

    Example:
        >>> inverse(torch.eye(5)[3]).argmax()
        tensor(2)
    """
    return x[..., inverses(x.shape[-1]).to(x.device)]


def coprime(levels: int) -> Tensor:
    """Which numbers 0..K-1 have an inverse modulo K, (K,).

    Example:
        >>> coprime(6)
        tensor([False,  True, False, False, False,  True])
    """
    return torch.tensor([math.gcd(s, levels) == 1 for s in range(levels)])


def inverses(levels: int) -> Tensor:
    """The inverse of each number that has one, itself for others, (K,)."""
    return torch.tensor(
        [pow(s, -1, levels) if math.gcd(s, levels) == 1 else s for s in range(levels)]
    )


def one_hot_argmax(logits: Tensor, temperature: float) -> Tensor:
    r"""The one-hot of the largest logit, with the gradient of a softmax.

    .. math:: \mathrm{onehot}(\arg\max_k l_k), \qquad
        \partial := \partial\, \mathrm{softmax}(l / \tau)

    Source: Bengio, Leonard, Courville (2013), "Estimating or propagating gradients through
    stochastic neurons", arXiv:1308.3432.

    Example:
        >>> one_hot_argmax(torch.tensor([0.0, 2.0, 1.0]), 0.1)
        tensor([0., 1., 0.])
    """
    soft = (logits / temperature).softmax(-1)
    hard = torch.zeros_like(soft).scatter_(-1, logits.argmax(-1, keepdim=True), 1.0)
    # in this order the value is the one-hot itself, to the bit
    return hard + (soft - soft.detach())
