"""The normal density of columns."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus

# Entries that are worked on at a time: a few tensors of them stay in the cache of a processor.
BLOCK = 2**15


def normal_log_prob(x: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    r"""Log-density of independent normals, summed over the first axis.

    .. math:: \sum_d \left[-\tfrac12 \left(\frac{x_d - \mu_d}{\sigma_d}\right)^2 - \log \sigma_d
        - \tfrac12 \log 2\pi\right]

    Args:
        x: (D, \*batch); the three are broadcast to each other.
        loc: mean.
        scale: standard deviation, positive.

    Returns:
        (\*batch) in nats.

    Example:
        >>> normal_log_prob(torch.zeros(2, 3), torch.zeros(2, 1), torch.ones(2, 1))
        tensor([-1.8379, -1.8379, -1.8379])
    """
    squares = ((x - loc) / scale).square().sum(0)
    # the logarithms of a scale that many columns share are taken once
    return -0.5 * squares - scale.log().sum(0) - 0.5 * len(loc) * math.log(2 * math.pi)


def softplus_normal_log_prob(x: Tensor, parameters: Tensor, floor: Tensor) -> Tensor:
    r"""The same for the output of a network: means, and what softplus makes standard deviations of.

    .. math:: \sigma = \operatorname{softplus}(s) + \epsilon

    Its gradient is written down, which takes half the time that autograd does: beside matrix
    products, these are the longest columns of an autoencoder.

    Args:
        x: (D, N).
        parameters: means and s, (2 D, \*lead, N).
        floor: :math:`\epsilon`, a scalar that gets no gradient.

    Returns:
        (\*lead, N) in nats.

    Example:
        >>> softplus_normal_log_prob(torch.zeros(2, 3), torch.zeros(4, 5, 3), torch.tensor(0.0))[0]
        tensor([-1.1049, -1.1049, -1.1049])
    """
    return _SoftplusNormal.apply(x, parameters, floor)  # pyright: ignore[reportReturnType]


class _SoftplusNormal(torch.autograd.Function):
    """Both the density and its gradient in one pass, over features that fit the cache."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, parameters: Tensor, floor: Tensor) -> Tensor:
        features, lead = len(x), parameters.shape[1:]
        wanted = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        given = torch.empty_like(parameters) if wanted else None
        total = x.new_full(lead, -0.5 * features * math.log(2 * math.pi))
        x = x.view(features, *(1,) * (len(lead) - 1), -1)
        on_cpu = x.device.type == "cpu"
        step = max(1, BLOCK // max(1, lead.numel())) if on_cpu else features
        for first in range(0, features, step):
            means = slice(first, min(first + step, features))
            raws = slice(features + means.start, features + means.stop)
            scale = softplus(parameters[raws]).add_(floor)
            residual = (x[means] - parameters[means]).div_(scale)
            total -= residual.square().mul_(0.5).add_(scale.log()).sum(0)
            if given is not None:
                loc = torch.div(residual, scale, out=given[means])
                slope = residual.mul_(loc).sub_(scale.reciprocal_())
                torch.mul(slope, torch.sigmoid(parameters[raws]), out=given[raws])
        if given is not None:
            ctx.save_for_backward(given)
        return total

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - the base names no arguments
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, Tensor, None]:
        given = ctx.saved_tensors[0] * grad
        x = -given[: len(given) // 2].flatten(1, -2).sum(1) if ctx.needs_input_grad[0] else None
        return x, given, None
