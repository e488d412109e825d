"""Random draws of latent variables."""

import torch
from torch import Tensor


def normal_draws(shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal draws, with the dtype and device of ``like``.

    Example:
        >>> normal_draws((2, 3), torch.zeros(()), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3])
    """
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)


def gumbel_draws(shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    r"""Standard Gumbel draws, :math:`-\log e` of exponential ones, always finite.

    The largest of :math:`\log q_k + g_k` is a draw of k from q (the Gumbel-max trick).

    Example:
        >>> gumbel_draws((2, 3), torch.zeros(()), None).isfinite().all()
        tensor(True)
    """
    noise = torch.empty(shape, dtype=like.dtype, device=like.device)
    return -noise.exponential_(generator=generator).clamp_min(torch.finfo(like.dtype).tiny).log()


def one_hot_of_largest(scores: Tensor) -> Tensor:
    """One for the largest along the first axis, and zeros.

    Example:
        >>> one_hot_of_largest(torch.tensor([[0.3], [0.9]])).mT
        tensor([[0., 1.]])
    """
    largest = scores.detach().argmax(0, keepdim=True)
    return torch.zeros_like(scores).scatter_(0, largest, 1.0)
