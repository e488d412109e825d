"""The residual block of PixelCNN."""

import torch
from torch import Tensor

from anabranch.functional.shapes import Shape
from anabranch.networks.causal_conv import CausalConv2d, colour_groups
from anabranch.networks.pixel_network import PixelBlock, PixelSizes


class ResidualPixels(PixelBlock):
    r"""Half as many maps between two of 1 x 1.

    .. math:: y = h + C\, \mathrm{relu}(B * \mathrm{relu}(A\, \mathrm{relu}(h)))

    where B is a causal convolution. C starts at zero.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), "Pixel recurrent neural networks",
    arXiv:1601.06759.

    Args:
        sizes: of the layers.
        kernel_size: of B, an odd number; of 1 where all there is to see is in the first layer.
        generator: source of the initial weights.

    Example:
        >>> block = ResidualPixels(PixelSizes((4, 4), n_params=1, channels=8))
        >>> block(torch.zeros(5, 8, 4, 4)).shape
        torch.Size([5, 8, 4, 4])
    """

    def __init__(
        self, sizes: PixelSizes, kernel_size: int = 3, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        n_colours = len(sizes.colours)
        outer = sizes.maps()
        inner = colour_groups(max(sizes.channels // 2, n_colours), n_colours)
        self.narrow = CausalConv2d(outer, inner, 1, generator=generator)
        self.middle = CausalConv2d(inner, inner, kernel_size, generator=generator)
        self.widen = CausalConv2d(inner, outer, 1, gain=0.0, generator=generator)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, channels, H, W)."""
        narrow = torch.relu(self.narrow(torch.relu(maps)))
        return maps + self.widen(torch.relu(self.middle(narrow)))

    def walk(self, size: Shape) -> "ResidualWalk":
        """The same one pixel after the other."""
        return ResidualWalk(self, size)


class ResidualWalk:
    """A `ResidualPixels` at one pixel after the other."""

    def __init__(self, block: ResidualPixels, size: Shape) -> None:
        layers = block.narrow, block.middle, block.widen
        self.narrow, self.middle, self.widen = (layer.steps(*size) for layer in layers)

    def row(self, r: int) -> None:
        """Begin row r."""
        self.middle.row(r)

    def pixel(self, r: int, c: int, x: Tensor) -> Tensor:
        """Maps (N, channels) of a pixel from those that come in."""
        narrow = self.narrow.pixel(r, c, torch.relu(x)).relu_()
        return self.widen.pixel(r, c, self.middle.pixel(r, c, narrow).relu_()) + x
