"""The stacked linear layer, on which every network here rests."""

import math

import torch
from torch import Tensor, nn

from anabranch.functional.shapes import Shape, expand_batch


class Linear(nn.Module):
    r"""K independent linear maps in one matrix product.

    .. math:: y_k = x_k W_k^\top + b_k

    Args:
        in_features: size of the input; 0 is allowed and leaves the bias alone.
        out_features: size of the output.
        batch_shape: the component axis; () for one map.
        mask: (out_features, in_features) of zeros and ones that cuts connections.
        zero: start at the zero map, as the last layer of every conditioner does.
        generator: source of the initial weights, uniform within ±1/sqrt(in_features).

    Shapes:
        x: (N, in) or (*batch_shape, N, in), giving (*batch_shape, N, out). Without batch_shape any
        leading dimensions.

    Example:
        >>> layer = Linear(3, 4, batch_shape=(5,))
        >>> layer(torch.zeros(7, 3)).shape
        torch.Size([5, 7, 4])
    """

    shared_buffers = ("mask",)  # one mask serves all components
    mask: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        batch_shape: Shape = (),
        mask: Tensor | None = None,
        zero: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.batch_shape = tuple(batch_shape)
        limit = 0.0 if zero or in_features == 0 else 1.0 / math.sqrt(in_features)
        weight = torch.empty(*batch_shape, out_features, in_features)
        bias = torch.empty(*batch_shape, out_features, 1)
        self.weight = nn.Parameter(weight.uniform_(-limit, limit, generator=generator))
        self.bias = nn.Parameter(bias.uniform_(-limit, limit, generator=generator))
        # float, not bool: a product with the weight is then one kernel.
        self.register_buffer("mask", None if mask is None else mask.to(weight.dtype), False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (*batch_shape, N, in_features) to (*batch_shape, N, out_features)."""
        return self.columns(expand_batch(x, self.batch_shape, 1).mT).mT

    def columns(self, x: Tensor) -> Tensor:
        """The same on columns, (*batch_shape, in_features, N) to (*batch_shape, out, N)."""
        weight = self.weight if self.mask is None else self.weight * self.mask
        if weight.ndim == x.ndim == 3:
            return torch.baddbmm(self.bias, weight, x)
        if weight.ndim == x.ndim == 2:
            return torch.addmm(self.bias, weight, x)
        return weight @ x + self.bias

    def extra_repr(self) -> str:
        """What repr shows of it."""
        stack = f", batch_shape={self.batch_shape}" if self.batch_shape else ""
        return f"{self.in_features}, {self.out_features}{stack}"
