"""Convolutions of videos, which see no later frame."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv3d, pad


class CausalConv3d(nn.Module):
    r"""A convolution over time and places, whose answer at a frame sees that one and earlier ones.

    .. math:: y_t = b + \sum_{k=0}^{K-1} W_k * x_{t - dk}

    Frames before the first are zero, and so is what lies around a frame.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        frames: K.
        kernel_size: side of the kernel of a frame, an odd number.
        dilation: d, of time.
        generator: source of the initial weights, uniform within ±1/sqrt(fan-in).

    Shapes:
        x: (N, in_channels, T, H, W), giving (N, out_channels, T, H, W).

    Source: Kumar et al. (2019), "VideoFlow", arXiv:1903.01434.

    Example:
        >>> CausalConv3d(1, 4, frames=2, kernel_size=3)(torch.zeros(3, 1, 5, 7, 8)).shape
        torch.Size([3, 4, 5, 7, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        frames: int = 1,
        kernel_size: int = 1,
        dilation: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        shape = (out_channels, in_channels, frames, kernel_size, kernel_size)
        limit = 1 / math.sqrt(in_channels * frames * kernel_size**2)
        weight = torch.empty(shape).uniform_(-limit, limit, generator=generator)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(torch.zeros(out_channels))
        self.dilation, self.before = dilation, (frames - 1) * dilation
        self.around = kernel_size // 2

    def forward(self, x: Tensor) -> Tensor:
        """Convolve a video."""
        a = self.around
        x = pad(x, (a, a, a, a, self.before, 0))
        return conv3d(x, self.weight, self.bias, dilation=(self.dilation, 1, 1))


class CausalVideoNet(nn.Module):
    r"""A residual network of gated causal convolutions from videos to videos.

    .. math:: h \leftarrow h + V * (\tanh(U * h) \odot \sigma(U' * h))

    with dilations of time 1, 2, 4, ... one block after another. The last layer starts at zero.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        channels: width of the hidden layers.
        dilations: of time, one for each block.
        generator: source of the initial weights.

    Shapes:
        x: (N, in_channels, T, H, W), giving (N, out_channels, T, H, W).

    Source: Kumar et al. (2019), "VideoFlow: a conditional flow-based model for stochastic video
    generation", arXiv:1903.01434, appendix.

    Example:
        >>> net = CausalVideoNet(3, 2, channels=4, dilations=(1, 2))
        >>> net(torch.ones(5, 3, 4, 2, 2)).abs().max().detach()
        tensor(0.)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        channels: int = 32,
        dilations: Sequence[int] = (1, 2),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.first = CausalConv3d(in_channels, channels, kernel_size=3, generator=generator)
        self.gates = nn.ModuleList(
            CausalConv3d(
                channels,
                2 * channels,
                frames=2,
                kernel_size=3,
                dilation=dilation,
                generator=generator,
            )
            for dilation in dilations
        )
        self.mixes = nn.ModuleList(
            CausalConv3d(channels, channels, generator=generator) for _ in dilations
        )
        self.last = CausalConv3d(channels, out_channels, generator=generator)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The answers for a video."""
        h = self.first(x)
        for gate, mix in zip(self.gates, self.mixes, strict=True):
            value, opened = gate(h).chunk(2, 1)
            h = h + mix(torch.tanh(value) * torch.sigmoid(opened))
        return self.last(torch.relu(h))
