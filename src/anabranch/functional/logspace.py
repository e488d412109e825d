"""Log-space helpers and the log-densities of the standard bases."""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

FAR = -37.0  # e to it is below the precision of double numbers


def log1mexp(a: Tensor) -> Tensor:
    r"""Stable :math:`\log(1 - e^{-a})` for :math:`a > 0`.

    Source: Mächler, "Accurately computing log(1 - exp(-|a|))" (2012): expm1 below log 2, log1p
    above it.

    Args:
        a: positive values of any shape.

    Returns:
        Values of the same shape, <= 0.

    Example:
        >>> log1mexp(torch.tensor([1e-10, 1.0, 50.0], dtype=torch.float64))
        tensor([-2.3026e+01, -4.5868e-01, -1.9287e-22], dtype=torch.float64)
    """
    small = a < math.log(2.0)
    # The unused branch is fed a harmless value, so that its gradient is finite as well.
    below = torch.log(-torch.expm1(-torch.where(small, a, torch.ones_like(a))))
    above = torch.log1p(-torch.exp(-torch.where(small, torch.ones_like(a), a)))
    return torch.where(small, below, above)


def log1mexpexp(t: Tensor) -> Tensor:
    r"""Stable :math:`\log(1 - \exp(-e^t))`, the inverse of `logmlog1mexp`.

    Far below zero it is t to all digits, where :math:`e^t` itself would be zero.

    Args:
        t: values of any shape.

    Returns:
        Values of the same shape, <= 0.

    Example:
        >>> log1mexpexp(torch.tensor([-1000.0, 0.0]))
        tensor([-1.0000e+03, -4.5868e-01])
    """
    far = t < FAR
    near = log1mexp(torch.where(far, 0.0, t).exp())
    return torch.where(far, t, near)


def logmlog1mexp(c: Tensor) -> Tensor:
    r"""Stable :math:`\log(-\log(1 - e^c))` for :math:`c < 0`, the inverse of `log1mexpexp`.

    Of :math:`c = \log(1 - u)` it is :math:`\log(-\log u)`.

    Args:
        c: negative values of any shape.

    Returns:
        Values of the same shape.

    Example:
        >>> logmlog1mexp(torch.tensor([-1000.0, -1.0]))
        tensor([-1.0000e+03, -7.7941e-01])
    """
    far = c < FAR
    near = (-log1mexp(-torch.where(far, -1.0, c))).log()
    return torch.where(far, c, near)


def logsoftplus(w: Tensor) -> Tensor:
    r"""Stable :math:`\log\log(1 + e^w)`.

    Args:
        w: values of any shape.

    Returns:
        Values of the same shape; far below zero w itself.

    Example:
        >>> logsoftplus(torch.tensor([-1000.0, 0.0]))
        tensor([-1.0000e+03, -3.6651e-01])
    """
    far = w < FAR
    return torch.where(far, w, softplus(torch.where(far, 0.0, w)).log())


def standard_normal_log_prob(z: Tensor) -> Tensor:
    r"""Log-density of the standard normal, summed over the last axis.

    .. math:: \log p(z) = -\tfrac12 \|z\|^2 - \tfrac D2 \log 2\pi

    Args:
        z: (..., D).

    Returns:
        (...,) in nats.

    Example:
        >>> standard_normal_log_prob(torch.zeros(1, 2))
        tensor([-1.8379])
    """
    return z.square().sum(-1).mul(-0.5).sub(0.5 * z.shape[-1] * math.log(2 * math.pi))


def standard_logistic_log_prob(z: Tensor) -> Tensor:
    r"""Log-density of the standard logistic, summed over the last axis.

    .. math:: \log p(z) = -\sum_d [\mathrm{softplus}(z_d) + \mathrm{softplus}(-z_d)]

    Args:
        z: (..., D).

    Returns:
        (...,) in nats.

    Example:
        >>> standard_logistic_log_prob(torch.zeros(1, 1))
        tensor([-1.3863])
    """
    return -(softplus(z) + softplus(-z)).sum(-1)
