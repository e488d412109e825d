"""A convolutional decoder of a code."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from anabranch.networks.conv import image_size
from anabranch.networks.conv_block import ConvBlock
from anabranch.networks.conv_encoder import check_levels, level_sides
from anabranch.networks.linear import Linear
from anabranch.networks.mlp import make_activation
from anabranch.networks.strided_conv import StridedConv2d


class ConvDecoder(nn.Module):
    r"""The mirror of `ConvEncoder`: dense layers, then transposed convolutions to an image.

    Channels, strides and hidden sizes are those of the encoder, and are taken in reverse.

    Args:
        in_features: size of the code.
        image_shape: (H, W) or (C, H, W).
        n_parameters: outputs for each pixel, parameter-major: output p of pixel i is number
            p C H W + i.
        channels: as of the encoder.
        strides: as of the encoder.
        residual: whether levels are residual pairs, but for the last, which is one convolution.
        hidden: hidden sizes of the encoder.
        activation: of all layers but the last.
        generator: source of the initial weights.

    Raises:
        ValueError: for an image_shape that is none, no channels, or strides that are not as many.

    Example:
        >>> net = ConvDecoder(10, (28, 28), 2, hidden=(16,))
        >>> net(torch.zeros(5, 10)).shape
        torch.Size([5, 1568])
    """

    def __init__(
        self,
        in_features: int,
        image_shape: Sequence[int],
        n_parameters: int = 1,
        channels: Sequence[int] = (16, 32),
        strides: Sequence[int] | None = None,
        *,
        residual: bool = False,
        hidden: Sequence[int] = (128,),
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        strides = check_levels(channels, strides)
        size = image_size(image_shape)
        sides = level_sides(size, strides)
        self.activation = make_activation(activation)
        self.places = (channels[-1], *sides[-1])
        widths = [in_features, *reversed(hidden), channels[-1] * sides[-1][0] * sides[-1][1]]
        self.hidden = nn.ModuleList(
            Linear(fan_in, fan_out, generator=generator) for fan_in, fan_out in pairwise(widths)
        )
        how = {"residual": residual, "activation": activation, "generator": generator}
        self.blocks = nn.Sequential(
            *(
                ConvBlock(channels[i], channels[i - 1], stride=strides[i], enlarged=sides[i], **how)
                for i in reversed(range(1, len(channels)))
            )
        )
        self.last = StridedConv2d(
            channels[0],
            n_parameters * size[0],
            stride=strides[0],
            enlarged=sides[0],
            generator=generator,
        )

    def forward(self, z: Tensor) -> Tensor:
        """Map codes (N, in_features) to (N, n_parameters C H W)."""
        return self._maps(z.mT).flatten(1)

    def columns(self, z: Tensor) -> Tensor:
        """The same on columns: (in_features, N) to (n_parameters C H W, N)."""
        return self._maps(z).flatten(1).mT

    def _maps(self, columns: Tensor) -> Tensor:
        for layer in self.hidden:
            columns = self.activation(layer.columns(columns))  # pyright: ignore[reportCallIssue]
        return self.last(self.blocks(columns.mT.reshape(-1, *self.places)))
