"""One level of a convolutional network, plain or residual."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from anabranch.networks.mlp import make_activation
from anabranch.networks.strided_conv import StridedConv2d


class ConvBlock(nn.Module):
    r"""A convolution and its activation, or a residual pair of them.

    .. math:: y = a(U * x) \quad\text{or}\quad y = a(V * a(U * x) + S x)

    U may halve the sides of the image, or undo it; V keeps them. S is the identity where the
    sizes agree, and else a convolution of 1 x 1 on every s-th place, or before places are repeated.

    Source: He, Zhang, Ren, Sun (2015), "Deep residual learning for image recognition",
    arXiv:1512.03385, without normalisation.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: of U.
        enlarged: height and width of the output where U is transposed; None where it is not.
        residual: whether it is a residual pair.
        activation: a.
        generator: source of the initial weights.

    Shapes:
        x: (N, in_channels, H, W), giving (N, out_channels, H', W').

    Example:
        >>> ConvBlock(1, 4, stride=2, residual=True)(torch.zeros(3, 1, 7, 8)).shape
        torch.Size([3, 4, 4, 4])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        enlarged: tuple[int, int] | None = None,
        residual: bool = False,
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        sizes: dict[str, Any] = {"stride": stride, "enlarged": enlarged, "generator": generator}
        self.activation, self.enlarged = make_activation(activation), enlarged
        self.first = StridedConv2d(in_channels, out_channels, **sizes)
        self.second, self.shortcut = None, None
        if not residual:
            return
        self.second = StridedConv2d(out_channels, out_channels, generator=generator)
        if stride > 1 or in_channels != out_channels:
            kept = 1 if enlarged else stride
            self.shortcut = StridedConv2d(
                in_channels, out_channels, kernel_size=1, stride=kept, generator=generator
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W)."""
        y = self.first(x)
        if self.second is not None:
            y = self.second(self.activation(y)) + self._skip(x)
        return self.activation(y)

    def _skip(self, x: Tensor) -> Tensor:
        if self.shortcut is not None:
            x = self.shortcut(x)
        return x if self.enlarged in (None, tuple(x.shape[-2:])) else interpolate(x, self.enlarged)
