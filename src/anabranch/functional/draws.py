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


@torch.no_grad()
def vmf_height(concentration: Tensor, features: int, generator: torch.Generator | None) -> Tensor:
    r"""Draws of :math:`1 - \mu \cdot x` of von Mises-Fisher vectors x of D numbers.

    In closed form on the sphere in three dimensions, by rejection elsewhere.

    Source: Wood (1994), "Simulation of the von Mises Fisher distribution", Communications in
    Statistics - Simulation and Computation 23.

    Example:
        >>> above = vmf_height(torch.full((2000,), 50.0), 3, torch.Generator().manual_seed(0))
        >>> bool((above.mean() - 1 / 50).abs() < 2e-3)
        True
    """
    tiny = torch.finfo(concentration.dtype).tiny
    if features == 3:
        u = torch.rand_like(concentration, generator=generator).clamp_min(tiny)
        return -torch.log(u + (1 - u) * torch.exp(-2 * concentration)) / concentration
    m = features - 1
    b = m / (2 * concentration + (4 * concentration.square() + m * m).sqrt())
    gap, shape = 2 * b / (1 + b), torch.full_like(concentration, m / 2)  # gap: 1 - x_0
    above, open_ = torch.zeros_like(b), torch.ones_like(b, dtype=torch.bool)
    while bool(open_.any()):
        # torch.distributions.Gamma takes no generator
        one, other = (torch._standard_gamma(shape, generator=generator) for _ in range(2))  # pyright: ignore
        z = one / (one + other).clamp_min(tiny)
        found = 2 * b * z / (1 - (1 - b) * z)
        margin = concentration * (gap - found)
        ratio = (gap + (1 - gap) * found) / (gap * (2 - gap))
        u = torch.rand_like(b, generator=generator).clamp_min(tiny)
        good = open_ & (margin + m * ratio.log() >= u.log())
        above = torch.where(good, found, above)
        open_ = open_ & ~good
    return above
