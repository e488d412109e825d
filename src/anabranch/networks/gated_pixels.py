"""The network of Gated PixelCNN: two stacks, one above the pixel and one in its row."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from anabranch.functional.layout import channels_last
from anabranch.functional.numbers import check_whole
from anabranch.functional.shapes import Shape
from anabranch.networks.causal_conv import CausalConv2d, uniform_weight
from anabranch.networks.pixel_network import PixelNetwork, PixelSizes

# A gated unit makes about a third of what comes in, which this gain makes up for at first.
GATED = 3.0


class RowsConv2d(nn.Module):
    r"""A convolution over whole rows: those above, and the row itself unless ``strict``.

    .. math:: y_{rc} = b + \sum_{i=0\ \text{or}\ 1}^{p} \sum_{j=-p}^{p} W_{ij}\, x_{r-i,c+j}

    Args:
        in_maps: maps of the input.
        out_maps: maps of the output.
        kernel_size: 2p + 1, an odd number.
        strict: whether only rows above are seen.
        generator: source of the initial weights.

    Raises:
        ValueError: for an even kernel, or one of 1 that is strict and would see nothing.

    Example:
        >>> RowsConv2d(1, 4, 3, strict=True)(torch.zeros(5, 1, 4, 6)).shape
        torch.Size([5, 4, 4, 6])
    """

    def __init__(
        self,
        in_maps: int,
        out_maps: int,
        kernel_size: int = 3,
        *,
        strict: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if kernel_size < 1 + 2 * strict or kernel_size % 2 == 0:
            least = 3 if strict else 1
            raise ValueError(f"kernel_size must be odd, at least {least}, got {kernel_size}")
        self.reach, self.strict = kernel_size // 2, strict
        shape = (out_maps, in_maps, self.reach + 1 - strict, kernel_size)
        self.weight = uniform_weight(shape, GATED, generator=generator)
        self.bias = nn.Parameter(torch.zeros(out_maps))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, in, H, W) to (N, out, H, W)."""
        above = pad(x, (self.reach, self.reach, self.reach, -int(self.strict)))
        return channels_last(conv2d(above, self.weight, self.bias))

    def row(self, maps: Tensor, r: int) -> Tensor:
        """The result in row r, (N, out, 1, W), of maps (N, H + p, W + 2p, in) with zeros around."""
        seen = maps[:, r : r + self.weight.shape[2]].permute(0, 3, 1, 2)
        return conv2d(seen, self.weight, self.bias)


class GatedLayer(nn.Module):
    r"""One layer of both stacks, v above and h in the row.

    .. math:: v' = \gamma(W^v * v + V^v s), \qquad
        h' = h + U \gamma(W^h * h + L v' + V^h s), \qquad
        \gamma(a, b) = \tanh(a / 2) \odot \sigma(b)

    with the context s. (In the paper h takes W^v * v itself; half as many maps serve as well.) v at
    a pixel knows rows above it only, so that h may take all of it: there is no blind spot. The
    first layer sees the image, without the number itself, and adds no h.

    Args:
        sizes: of the layers.
        kernel_size: an odd number.
        first: whether this is the first layer.
        position: add a bias of its own for each place.
        generator: source of the initial weights.
    """

    def __init__(
        self,
        sizes: PixelSizes,
        kernel_size: int = 3,
        *,
        first: bool = False,
        position: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        inputs = sizes.colours if first else sizes.maps()
        wide = 2 * sizes.channels
        self.first = first
        self.above = RowsConv2d(len(inputs), wide, kernel_size, strict=first, generator=generator)
        self.beside = CausalConv2d(
            inputs,
            sizes.maps(2),
            kernel_size,
            rows=0,
            strict=first,
            gain=GATED,
            generator=generator,
        )
        self.link = uniform_weight((wide, sizes.channels, 1, 1), GATED, generator=generator)
        self.mix = CausalConv2d(sizes.maps(), sizes.maps(), 1, gain=1.0, generator=generator)
        self.added = sizes.context(2, position=position, generator=generator)
        self.added_above = sizes.context(2, position=position, generator=generator)

    def forward(self, v: Tensor, h: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Both stacks (N, channels, H, W); the image twice in the first layer."""
        v = gated(self.added_above(self.above(v), context))
        mixed = self.mix(gated(self.added(self.beside(h) + conv2d(v, self.link), context)))
        return v, (mixed if self.first else mixed + h)


class GatedPixels(PixelNetwork):
    """The layers of Gated PixelCNN.

    Source: van den Oord et al. (2016), "Conditional image generation with PixelCNN decoders",
    arXiv:1606.05328.

    Args:
        sizes: of the layers; twice as many maps before the gates.
        n_layers: layers, the first one included.
        kernel_size: of the layers after the first, an odd number.
        first_kernel: of the first layer.
        position: add a bias of its own for each place in the first layer.
        generator: source of the initial weights.

    Raises:
        ValueError: for fewer than one layer, or an even kernel.

    Example:
        >>> net = GatedPixels(PixelSizes((4, 4), n_params=1, channels=8), n_layers=2)
        >>> net(torch.zeros(5, 1, 4, 4)).shape
        torch.Size([1, 5, 1, 4, 4])
    """

    def __init__(
        self,
        sizes: PixelSizes,
        n_layers: int = 5,
        kernel_size: int = 3,
        *,
        first_kernel: int = 7,
        position: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(sizes, generator)
        self.n_layers = n_layers
        check_whole(self, ("n_layers",), 1)
        self.layers = nn.ModuleList(
            GatedLayer(
                sizes,
                kernel_size if i else first_kernel,
                first=not i,
                position=position and not i,
                generator=generator,
            )
            for i in range(n_layers)
        )

    def features(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Feature maps (N, channels, H, W) of images whose numbers are in [-1, 1]."""
        v = h = x
        for layer in self.layers:
            v, h = layer(v, h, context)
        return h

    def walk(self, size: Shape, context: Tensor | None) -> "GatedWalk":
        """The same one pixel after the other."""
        return GatedWalk(self, size, context)


class GatedWalk:
    """The feature maps of a `GatedPixels`, at one pixel after the other.

    The stack above is computed for whole rows, and only the other one for each pixel.
    """

    def __init__(self, network: GatedPixels, size: Shape, context: Tensor | None) -> None:
        layers: list[GatedLayer] = list(network.layers)  # pyright: ignore[reportAssignmentType]
        self.layers = [LayerWalk(layer, size, context) for layer in layers]

    def row(self, r: int) -> None:
        """Begin row r: the stack above, all of it."""
        v = None
        for layer in self.layers:
            v = layer.row(r, v)

    def pixel(self, r: int, c: int, x: Tensor) -> Tensor:
        """Feature maps (N, channels) of a pixel from its colours so far, (N, C)."""
        for layer in self.layers:
            x = layer.pixel(r, c, x)
        return x

    def see(self, r: int, c: int, x: Tensor) -> None:
        """Remember all colours of a pixel, (N, C)."""
        self.layers[0].see(r, c, x)


class LayerWalk:
    """A `GatedLayer` at one pixel after the other."""

    def __init__(self, layer: GatedLayer, size: Shape, context: Tensor | None) -> None:
        n, height, width = size
        self.layer, half = layer, layer.above.reach
        self.beside = layer.beside.steps(*size)
        self.maps = layer.link.new_zeros(
            n, height + half, width + 2 * half, layer.above.weight.shape[1]
        )
        self.mix, self.mix_bias = layer.mix.steps(*size).lower, layer.mix.bias
        self.added = layer.added.walk(context, size)
        self.added_above = layer.added_above.walk(context, size)
        self.told: Tensor | None = None

    def row(self, r: int, v: Tensor | None) -> Tensor:
        """The stack above in row r, from that of the layer below (N, in, 1, W)."""
        half = self.layer.above.reach
        if v is not None:
            self.maps[:, r + half, half : self.maps.shape[2] - half] = v[:, :, 0].mT
        above = self.layer.above.row(self.maps, r)
        if (added := self.added_above.rows(r)) is not None:
            above = above + added.permute(1, 2, 0).unsqueeze(-2)
        v = gated(above)
        told = conv2d(v, self.layer.link, self.beside.bias)[:, :, 0].permute(2, 0, 1)
        added = self.added.rows(r)
        self.told = told.contiguous() if added is None else told + added
        return v

    def see(self, r: int, c: int, x: Tensor) -> None:
        """Remember all colours of a pixel of the image."""
        half = self.layer.above.reach
        self.maps[:, r + half, c + half] = x
        self.beside.see(r, c, x)

    def pixel(self, r: int, c: int, x: Tensor) -> Tensor:
        """The stack in the row at a pixel, (N, channels)."""
        assert self.told is not None
        self.beside.see(r, c, x)
        unit = gated(self.beside.at(r, c, self.told[c]))
        if self.layer.first:
            return torch.addmm(self.mix_bias, unit, self.mix)
        return torch.addmm(x, unit, self.mix).add_(self.mix_bias)


def gated(maps: Tensor) -> Tensor:
    r"""The gated unit of maps (N, 2 channels, ...), :math:`\tanh(a / 2)\, \sigma(b)`.

    The half makes both factors of one sigmoid, for :math:`\tanh(a / 2) = 2 \sigma(a) - 1`: twice as
    fast in bfloat16 as to take the two from halves of the maps.

    Example:
        >>> gated(torch.tensor([[2.0, 0.0]]))
        tensor([[0.3808]])
    """
    content, gate = torch.sigmoid(maps).chunk(2, 1)
    return (2 * content - 1) * gate
