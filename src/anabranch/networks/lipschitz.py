"""Networks that move no two points apart by more than a share of their distance."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from anabranch.functional.numbers import check_share, check_sizes
from anabranch.functional.shapes import Shape, expand_batch
from anabranch.networks.linear import Linear

SQUARINGS = 3  # of the Gram matrix: the norm is Schatten's of order 2 ** (SQUARINGS + 1)
STEEPEST = 1.1  # the steepest slope of x sigmoid(x) is 1.0998


def norm_bound(weight: Tensor) -> Tensor:
    r"""A smooth upper bound of the spectral norm: Schatten's norm of order sixteen.

    .. math:: \sigma_1 \le \Big(\sum_i \sigma_i^{16}\Big)^{1/16} \le r^{1/16}\, \sigma_1

    By four products of matrices, for any rank r, without the state of a power iteration: which is
    a lower bound, and has no right derivatives.

    Args:
        weight: (\*batch, out, in).

    Returns:
        (\*batch, 1, 1).

    Example:
        >>> norm_bound(torch.diag(torch.tensor([3.0, 1.0])))
        tensor([[3.]])
    """
    size = torch.sqrt(weight.square().sum((-2, -1), keepdim=True) + torch.finfo(weight.dtype).tiny)
    scaled = weight / size
    tall = scaled.shape[-2] > scaled.shape[-1]
    power = scaled.mT @ scaled if tall else scaled @ scaled.mT
    for _ in range(SQUARINGS - 1):
        power = power @ power
    total = power.square().sum((-2, -1), keepdim=True)
    # the largest share of the whole is at least 1 / rank, so that no root is near zero
    least = max(1, min(scaled.shape[-2:])) ** -(2.0**SQUARINGS)
    return size * total.clamp_min(least) ** (0.5**SQUARINGS / 2)


class LipschitzMLP(nn.Module):
    r"""A network g of x and a context with :math:`|g(x) - g(y)| \le L |x - y|`.

    Each weight is divided by the bound of its norm where that is above :math:`L^{1/n}`, n the
    number of layers; the activation is :math:`x \sigma(x) / 1.1`. What a context adds to the first
    layer is not limited.

    Source: Behrmann et al. (2019), "Invertible residual networks", arXiv:1811.00995; activation:
    Chen et al. (2019), "Residual flows", arXiv:1906.02735.

    Args:
        features: D, of x and of g.
        hidden: hidden sizes.
        limit: L, between 0 and 1.
        context_features: size of the context; 0 for none.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Raises:
        ValueError: for hidden sizes that are no positive integers, or none, or another limit.

    Example:
        >>> net = LipschitzMLP(2, (8,), limit=0.5)
        >>> g, _ = net.linearised(torch.zeros(4, 2))
        >>> g.shape
        torch.Size([4, 2])
    """

    def __init__(
        self,
        features: int,
        hidden: Sequence[int] = (64, 64),
        *,
        limit: float = 0.9,
        context_features: int = 0,
        batch_shape: Shape = (),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes("hidden", hidden)
        self.features, self.context_features, self.limit = features, context_features, limit
        check_share(self, ("limit",))
        self.batch_shape = tuple(batch_shape)
        how = {"batch_shape": batch_shape, "generator": generator}
        sizes = [features, *hidden, features]
        self.layers = nn.ModuleList(Linear(a, b, **how) for a, b in pairwise(sizes))
        self.condition = None
        if context_features:
            self.condition = Linear(context_features, hidden[0], zero=True, **how)

    def linearised(
        self, x: Tensor, context: Tensor | None = None
    ) -> tuple[Tensor, "Linearisation"]:
        """The value at x, (*batch_shape, N, D), and the linear map that is its derivative there."""
        rows = expand_batch(x, self.batch_shape, 1)
        share = self.limit ** (1 / len(self.layers))
        slopes: list[Tensor] = []
        weights: list[Tensor] = []
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, Linear)
            weight = layer.weight / (norm_bound(layer.weight) / share).clamp_min(1.0)
            weights.append(weight)
            if i:
                rows, slope = _activated(rows)
                slopes.append(slope)
            rows = rows @ weight.mT + layer.bias.mT
            if i == 0 and self.condition is not None:
                rows = rows + self.condition(context)
        return rows, Linearisation(weights, slopes)


class Linearisation:
    """The derivative of a network at its points, kept as weights and slopes of its layers."""

    def __init__(self, weights: list[Tensor], slopes: list[Tensor]) -> None:
        self.weights, self.slopes = weights, slopes

    def along(self, directions: Tensor) -> Tensor:
        r"""The derivative along directions, (..., \*batch_shape, N, D), or what broadcasts."""
        for weight, slope in zip(self.weights[:-1], self.slopes, strict=True):
            directions = (directions @ weight.mT) * slope
        return directions @ self.weights[-1].mT

    def matrix(self) -> Tensor:
        """The Jacobian, (*batch_shape, N, D, D), by D directions."""
        lead = self.slopes[0].shape[:-1]
        size = self.weights[0].shape[-1]
        eye = torch.eye(size, dtype=self.slopes[0].dtype, device=self.slopes[0].device)
        ones = (1,) * len(lead)
        return self.along(eye.view(size, *ones, size).expand(size, *lead, size)).movedim(0, -1)


def _activated(x: Tensor) -> tuple[Tensor, Tensor]:
    """The activation and its slope, neither steeper than one."""
    share = torch.sigmoid(x)
    return x * share / STEEPEST, share * (1 + x * (1 - share)) / STEEPEST
