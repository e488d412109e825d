"""Convolutions that halve the sides of an image, and their mirror."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d


class StridedConv2d(nn.Module):
    r"""A convolution of every s-th place, or the transposed one that undoes its change of size.

    .. math:: y_{o,ij} = b_o + \sum_{c,ab} W_{oc,ab}\, x_{c,\,si+a,\,sj+b}

    Sides of h become :math:`\lceil h / s \rceil`; transposed, those become h again.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the kernel, an odd number.
        stride: s.
        enlarged: height and width of the output of a transposed convolution; None for the other.
        generator: source of the initial weights, uniform within ±1/sqrt(fan-in).

    Shapes:
        x: (N, in_channels, H, W), giving (N, out_channels, H', W').

    Example:
        >>> StridedConv2d(1, 4, stride=2)(torch.zeros(3, 1, 7, 8)).shape
        torch.Size([3, 4, 4, 4])
        >>> StridedConv2d(4, 1, stride=2, enlarged=(7, 8))(torch.zeros(3, 4, 4, 4)).shape
        torch.Size([3, 1, 7, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        enlarged: tuple[int, int] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.enlarged = stride, kernel_size // 2, enlarged
        channels = (out_channels, in_channels) if enlarged is None else (in_channels, out_channels)
        # a place of a transposed output sees one of stride² kernel entries
        fan_in = in_channels * kernel_size**2 / (1 if enlarged is None else stride**2)
        limit = 1.0 / math.sqrt(fan_in)
        weight = torch.empty(*channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(weight.uniform_(-limit, limit, generator=generator))
        bias = torch.empty(out_channels)
        self.bias = nn.Parameter(bias.uniform_(-limit, limit, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, in_channels, H, W)."""
        how = {"stride": self.stride, "padding": self.padding}
        if self.enlarged is None:
            return conv2d(x, self.weight, self.bias, **how)
        extra = [(side - 1) % self.stride for side in self.enlarged]
        return conv_transpose2d(x, self.weight, self.bias, output_padding=extra, **how)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        mirror = "" if self.enlarged is None else f", enlarged={self.enlarged}"
        sizes = self.weight.shape[:2] if self.enlarged else self.weight.shape[:2][::-1]
        return f"{sizes[0]}, {sizes[1]}, stride={self.stride}{mirror}"
