r"""Numbers with infinitesimal parts, for mixed derivatives of functions of several variables.

An element is :math:`\sum_S a_S \prod_{d \in S} \epsilon_d` over all sets S of D directions, with
:math:`\epsilon_d^2 = 0`: a tensor (2^D, ...) whose index has the bit of each direction in S. The
last coefficient of :math:`f(x_1 + \epsilon_1, \dots, x_D + \epsilon_D)` is
:math:`\partial^D f / \partial x_1 \cdots \partial x_D`, exact, by plain operations that have
derivatives of their own.
"""

import torch
from torch import Tensor


def lift(x: Tensor) -> Tensor:
    r"""Each coordinate with a direction of its own, :math:`x_d + \epsilon_d`.

    Args:
        x: (..., D).

    Returns:
        (2^D, ..., D).

    Example:
        >>> lift(torch.tensor([3.0, 5.0]))
        tensor([[3., 5.],
                [1., 0.],
                [0., 1.],
                [0., 0.]])
    """
    features = x.shape[-1]
    rows = torch.zeros(2**features, features, dtype=x.dtype, device=x.device)
    rows[[2**d for d in range(features)], range(features)] = 1.0
    directions = rows[1:].reshape(-1, *(1,) * (x.ndim - 1), features).expand(-1, *x.shape)
    return torch.cat((x.unsqueeze(0), directions))


def times(p: Tensor, q: Tensor) -> Tensor:
    """The product of two elements of equal shape, (2^D, ...).

    Example:
        >>> times(torch.tensor([2.0, 1.0]), torch.tensor([2.0, 1.0]))  # x**2 at 2
        tensor([4., 4.])
    """
    if len(p) == 1:
        return p * q
    (a, b), (c, d) = p.chunk(2), q.chunk(2)
    return torch.cat((times(a, c), times(a, d) + times(b, c)))


def sigmoid(p: Tensor) -> Tensor:
    r"""The logistic function of an element, (2^D, ...).

    By :math:`\sigma(a + \epsilon b) = \sigma(a) + \epsilon\, \sigma(a) (1 - \sigma(a))\, b`, one
    direction after another.

    Example:
        >>> sigmoid(torch.tensor([0.0, 1.0]))
        tensor([0.5000, 0.2500])
    """
    if len(p) == 1:
        return torch.sigmoid(p)
    a, b = p.chunk(2)
    s = sigmoid(a)
    rest = torch.cat((1 - s[:1], -s[1:]))
    return torch.cat((s, times(times(s, rest), b)))
