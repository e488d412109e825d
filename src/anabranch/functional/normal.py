"""The normal density of columns."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus

# Entries that are worked on at a time: a few tensors of them stay in the cache of a processor.
BLOCK = 2**15
# Standard deviations between these may be multiplied four at a time, within float32.
SMALLEST, LARGEST, FOLDS = 1e-9, 1e9, 2


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


def affine_normal_log_prob(
    x: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor, floor: Tensor
) -> Tensor:
    r"""`softplus_normal_log_prob` of the last layer of a network, :math:`W h + b`, in one.

    The gradient takes the place of the layer's output, and is scaled column by column where columns
    are short, at h: a third of the memory, and of its traffic. Products are in the precision of h.

    Args:
        x: (D, N).
        hidden: h, (H, \*lead, N).
        weight: W, (2 D, H).
        bias: b, (2 D, 1).
        floor: :math:`\epsilon`, a scalar that gets no gradient.

    Returns:
        (\*lead, N) in nats, in the precision of x.

    Example:
        >>> h, W = torch.zeros(7, 5, 3), torch.zeros(4, 7)
        >>> affine_normal_log_prob(torch.zeros(2, 3), h, W, torch.zeros(4, 1), torch.tensor(0.0))[0]
        tensor([-1.1049, -1.1049, -1.1049])
    """
    return _AffineNormal.apply(x, hidden, weight, bias, floor)  # pyright: ignore[reportReturnType]


class _SoftplusNormal(torch.autograd.Function):
    """The density and its gradient in one pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, parameters: Tensor, floor: Tensor) -> Tensor:
        wanted = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        given = torch.empty_like(parameters) if wanted else None
        total = _density(x, parameters, floor, given)
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


class _AffineNormal(torch.autograd.Function):
    """The same behind a linear layer."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor, floor: Tensor
    ) -> Tensor:
        kind = hidden.dtype
        columns, weight = hidden.flatten(1), weight.to(kind)
        parameters = (weight @ columns).unflatten(1, hidden.shape[1:])
        wanted = any(ctx.needs_input_grad[:4])
        total = _density(x, parameters, floor, parameters if wanted else None, bias)
        if wanted:
            ctx.save_for_backward(parameters, columns, weight)
            ctx.kinds = (ctx.needs_input_grad, hidden.shape, bias.dtype)
        return total

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - the base names no arguments
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        given, columns, weight = ctx.saved_tensors
        (for_x, for_hidden, for_weight, for_bias, _), shape, kind = ctx.kinds
        given, scale = given.flatten(1), grad.flatten().to(columns.dtype)
        x = hidden = layer = bias = None
        if for_x:
            means = given[: len(given) // 2].unflatten(1, shape[1:])
            x = -(means.to(grad.dtype) * grad).flatten(1, -2).sum(1)
        if for_hidden:
            hidden = (weight.mT @ given).mul_(scale).view(shape)
        if for_weight:
            layer = (given @ (columns * scale).mT).to(kind)
        if for_bias:
            bias = (given @ scale.unsqueeze(1)).to(kind)
        return x, hidden, layer, bias, None


def _density(
    x: Tensor,
    parameters: Tensor,
    floor: Tensor,
    given: Tensor | None,
    bias: Tensor | None = None,
) -> Tensor:
    r"""The density, (\*lead, N); its gradient by the parameters is written to ``given``.

    It goes over features in blocks that fit the cache. ``given`` may be the parameters themselves,
    to which the bias, (2 D, 1), is still to be added.
    """
    features, lead = len(x), parameters.shape[1:]
    if bias is None:
        bias = x.new_zeros(()).expand(2 * features, 1)
    shift, bias = bias.view(2, features, *(1,) * len(lead))
    total = x.new_full(lead, -0.5 * features * math.log(2 * math.pi))
    x = x.view(features, *(1,) * (len(lead) - 1), -1)
    step = 4 * max(1, BLOCK // max(1, 4 * lead.numel())) if x.device.type == "cpu" else features
    for first in range(0, features, step):
        means = slice(first, min(first + step, features))
        raws = slice(features + means.start, features + means.stop)
        raw = parameters[raws] + bias[means]
        scale = softplus(raw).add_(floor)
        residual = (x[means] - shift[means]).sub(parameters[means]).div_(scale)
        total -= (residual * residual).sum(0).mul_(0.5).add_(_sum_of_logs(scale))
        if given is not None:
            loc = residual / scale
            given[means] = loc
            slope = residual.mul_(loc).sub_(scale.reciprocal_())
            given[raws] = slope.mul_(raw.sigmoid_())
    return total


def _sum_of_logs(scale: Tensor) -> Tensor:
    """The sum of logarithms along the first axis: one logarithm takes as long as ten products."""
    low, high = torch.aminmax(scale)
    for _ in range(FOLDS if low >= SMALLEST and high <= LARGEST else 0):
        half = len(scale) // 2
        if 2 * half != len(scale):
            break
        scale = scale[:half] * scale[half:]
    return scale.log().sum(0)
