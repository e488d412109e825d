"""Cumulative distributions of mixtures of logistics, in log-space."""

import torch
from torch import Tensor
from torch.nn.functional import softplus


def mixture_logit(
    arguments: Tensor, log_weights: Tensor, log_slopes: Tensor
) -> tuple[Tensor, Tensor]:
    r"""The logit of a mixture of sigmoids, and the logarithm of its slope.

    .. math::
        z = \operatorname{logit} F, \qquad F = \sum_k w_k\, \sigma(u_k), \qquad
        \frac{dz}{dx} = \frac{\sum_k w_k\, \sigma(u_k)\, \sigma(-u_k)\, u_k'}{F (1 - F)}

    All in logarithms, so that it is exact where F is 0 or 1 in floating point: far out z is linear.
    The slope is at most the largest :math:`u_k'`.

    Source: Ho et al. (2019), "Flow++", arXiv:1902.00275; Huang et al. (2018), "Neural
    autoregressive flows", arXiv:1804.00779.

    Args:
        arguments: u_k, shape (K, ...).
        log_weights: log w_k, whose exponentials sum to one over the leading axis.
        log_slopes: log du_k/dx.

    Returns:
        z and log dz/dx, each of shape (...).

    Example:
        >>> u = torch.tensor([[1.0, 500.0], [1.0, 500.0]])
        >>> mixture_logit(u, torch.tensor([[0.3], [0.7]]).log(), torch.zeros(2, 1))[0]
        tensor([  1., 500.])
    """
    log_below = -softplus(-arguments)
    log_above = log_below - arguments
    below = torch.logsumexp(log_weights + log_below, 0)
    above = torch.logsumexp(log_weights + log_above, 0)
    density = torch.logsumexp(log_weights + log_below + log_above + log_slopes, 0)
    return below - above, density - below - above
