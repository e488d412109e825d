"""Normal scores: probabilities as the places where the normal distribution has them."""

import math

import torch
from torch import Tensor

from anabranch.functional.roots import implicit

DEEP = -600.0  # where the quantile function of torch comes near the smallest number
NEWTON_STEPS = 4


def log_cdf_pair(x: Tensor) -> tuple[Tensor, Tensor]:
    r""":math:`\log \Phi(x)` and :math:`\log \Phi(-x)`, either exact in both tails.

    Args:
        x: values of any shape.

    Returns:
        Two tensors of that shape.

    Example:
        >>> log_cdf_pair(torch.tensor([0.0, 100.0]))
        (tensor([-0.6931, -0.0000]), tensor([-6.9315e-01, -5.0055e+03]))
    """
    return torch.special.log_ndtr(x), torch.special.log_ndtr(-x)


def normal_score(log_lower: Tensor, log_upper: Tensor) -> Tensor:
    r"""The x with :math:`\log \Phi(x)` and :math:`\log \Phi(-x)`, of the smaller of the two.

    Both tails are exact, as far as their logarithms are, with derivatives to order two.

    Args:
        log_lower: :math:`\log u` in float64.
        log_upper: :math:`\log(1 - u)`, of the same shape.

    Returns:
        x of that shape.

    Example:
        >>> normal_score(*log_cdf_pair(torch.tensor([-50.0, 0.5, 50.0]).double()))
        tensor([-50.0000,   0.5000,  50.0000], dtype=torch.float64)
    """
    low = log_lower < log_upper
    x = _lower_quantile(torch.where(low, log_lower, log_upper))
    return torch.where(low, x, -x)


def _lower_quantile(log_p: Tensor) -> Tensor:
    r"""The x with :math:`\log\Phi(x) = \log p`, for p up to a half."""
    with torch.no_grad():
        deep = log_p < DEEP
        square = 2 * -torch.where(deep, log_p, DEEP)
        asymptotic = -(square - square.log() - math.log(2 * math.pi)).sqrt()
        x = torch.where(deep, asymptotic, torch.special.ndtri(log_p.clamp_min(DEEP).exp()))
        for _ in range(NEWTON_STEPS):
            x = x - (torch.special.log_ndtr(x) - log_p) / _slope(x)
    return implicit(torch.special.log_ndtr, x, log_p, _slope(x))


def _slope(x: Tensor) -> Tensor:
    r"""The derivative of :math:`\log\Phi`."""
    return math.sqrt(2 / math.pi) / torch.special.erfcx(x * -math.sqrt(0.5))
