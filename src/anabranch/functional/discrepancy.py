"""How far two samples are apart, by kernels, with gradients."""

from collections.abc import Sequence

import torch
from torch import Tensor


def inverse_multiquadratic_mmd(
    x: Tensor, y: Tensor, widths: Sequence[float] = (0.05, 0.2, 0.9)
) -> Tensor:
    r"""The squared maximum mean discrepancy of two samples, a number.

    .. math::
        \mathrm{MMD}^2 = \overline{k(x, x')} + \overline{k(y, y')} - 2\, \overline{k(x, y)},
        \qquad k(a, b) = \sum_h \frac{h^2}{h^2 + |a - b|^2}

    All pairs count, a point with itself too. These kernels have heavy tails: far points still feel
    each other.

    Args:
        x: (n, D).
        y: (m, D).
        widths: h.

    Source: Gretton et al. (2012), "A kernel two-sample test", JMLR 13; with these kernels:
    Ardizzone et al. (2018), arXiv:1808.04730.

    Example:
        >>> inverse_multiquadratic_mmd(torch.zeros(1, 1), torch.ones(1, 1), [1.0])
        tensor(1.)
    """
    pairs = ((x, x), (y, y), (x, y))
    own, other, between = (_kernel_mean(_squared(a, b), widths) for a, b in pairs)
    return own + other - 2 * between


def _squared(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances, (n, m), whose gradient is finite where points meet."""
    square = a.square().sum(-1)[:, None] + b.square().sum(-1) - 2 * a @ b.mT
    return square.clamp_min(0)


def _kernel_mean(squared: Tensor, widths: Sequence[float]) -> Tensor:
    return torch.stack([(h**2 / (h**2 + squared)).mean() for h in widths]).sum()
