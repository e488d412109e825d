"""Networks that give the parameters of every number of an image from the numbers before it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from anabranch.functional.layout import channels_last
from anabranch.functional.numbers import check_whole
from anabranch.functional.shapes import Shape
from anabranch.networks.causal_conv import CausalConv2d, colour_groups
from anabranch.networks.conv import image_size
from anabranch.networks.pixel_context import PixelContext

# From parameters (n_params, N) of one number to its values (N,).
DrawOne = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class PixelSizes:
    """What all layers of a network over images are told.

    Attributes:
        image_shape: (H, W) or (C, H, W); (C, H, W) afterwards.
        n_params: parameters of each number.
        channels: feature maps of a layer.
        levels: the numbers of an image are 0..levels-1.
        context_shape: (C',) of a vector context, or (C', H, W); () for none.

    Raises:
        ValueError: for a shape that is none, fewer maps than channels of an image, fewer than two
            levels, or a context that is neither a vector nor an image of these sides.

    Example:
        >>> PixelSizes((28, 28), n_params=1, channels=16).image_shape
        (1, 28, 28)
    """

    image_shape: Shape
    n_params: int
    channels: int = 32
    levels: int = 2
    context_shape: Shape = ()

    def __post_init__(self) -> None:
        check_whole(self, ("n_params", "channels"), 1)
        check_whole(self, ("levels",), 2)
        object.__setattr__(self, "image_shape", image_size(self.image_shape))

    @property
    def colours(self) -> tuple[int, ...]:
        """The colour of each channel of the image."""
        return tuple(range(self.image_shape[0]))

    def maps(self, repeats: int = 1) -> tuple[int, ...]:
        """The colour that each feature map of a layer belongs to."""
        return colour_groups(self.channels, self.image_shape[0], repeats)

    def context(
        self, repeats: int = 1, *, position: bool = False, generator: torch.Generator | None = None
    ) -> PixelContext:
        """What a layer of ``repeats`` times as many maps adds for the context."""
        return PixelContext(
            repeats * self.channels,
            self.image_shape,
            self.context_shape,
            position=position,
            generator=generator,
        )


class Walk(Protocol):
    """A network or layer at one pixel after the other."""

    def row(self, r: int) -> None:
        """Begin row r: all that depends on the rows above alone."""
        ...

    def pixel(self, r: int, c: int, x: Tensor) -> Tensor:
        """Its maps at a pixel, (N, maps), from those that come in, (N, in).

        It may be asked again at the same pixel, with more of the colours.
        """
        ...


class PixelBlock(nn.Module, ABC):
    """A layer from feature maps to as many, each colour from those up to its own."""

    @abstractmethod
    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, channels, H, W)."""

    @abstractmethod
    def walk(self, size: Shape) -> Walk:
        """The same one pixel after the other; ``size`` is number of images, height, width."""


class PixelNetwork(nn.Module, ABC):
    r"""The parameters :math:`\theta` of each number of an image from the numbers before it.

    Pixels come row after row, the colours of a pixel one after the other. A subclass gives feature
    maps; from these,

    .. math:: \theta = U\, \mathrm{relu}(V\, \mathrm{relu}(h))

    at each place. U starts at zero.

    Args:
        sizes: of the layers.
        generator: source of the initial weights.

    Shapes:
        x: (N, C, H, W) of numbers 0..levels-1, giving (n_params, N, C, H, W).
    """

    def __init__(self, sizes: PixelSizes, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.sizes, maps = sizes, sizes.maps()
        outputs = tuple(colour for colour in sizes.colours for _ in range(sizes.n_params))
        self.mix = CausalConv2d(maps, maps, 1, generator=generator)
        self.last = CausalConv2d(maps, outputs, 1, gain=0.0, generator=generator)

    @abstractmethod
    def features(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Feature maps (N, channels, H, W) of images whose numbers are in [-1, 1]."""

    @abstractmethod
    def walk(self, size: Shape, context: Tensor | None) -> "FeatureWalk":
        """The same one pixel after the other."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Parameters (n_params, N, C, H, W) of images (N, C, H, W)."""
        maps = self.features(channels_last(self.centred(x)), context)
        maps = self.last(torch.relu(self.mix(torch.relu(maps))))
        return maps.unflatten(1, (len(self.sizes.colours), -1)).movedim(2, 0)

    def centred(self, x: Tensor) -> Tensor:
        """Numbers 0..levels-1 in [-1, 1]; what lies outside the image counts as 0, grey."""
        return x * (2 / (self.sizes.levels - 1)) - 1

    @torch.no_grad()
    def in_turn(
        self, draw: DrawOne, like: Tensor, context: Tensor | None = None, *, start: int = 0
    ) -> Tensor:
        """Give the numbers of images their values one after the other.

        Only what is new is computed: each layer at the pixel in turn, and once for a row what it
        takes from the rows above. That makes as many passes over a pixel as it has channels,
        where passes over the whole image would be as many as it has numbers.

        Args:
            draw: from the parameters (n_params, N) of one number to its values (N,).
            like: images (N, C, H, W), whose first rows are given where ``start`` says so.
            context: (N, *context_shape).
            start: the first row that is drawn.

        Returns:
            Images (N, C, H, W).
        """
        images, (n, _, height, width) = like.clone(), like.shape
        walk, readout = self.walk((n, height, width), context), Readout(self)
        for r in range(height):
            walk.row(r)
            for c in range(width):
                pixel = images[:, :, r, c] if r < start else torch.zeros_like(images[:, :, r, c])
                if r < start:
                    walk.pixel(r, c, self.centred(pixel))
                for colour in () if r < start else self.sizes.colours:
                    maps = walk.pixel(r, c, self.centred(pixel))
                    pixel[:, colour] = draw(readout(maps, colour))
                walk.see(r, c, self.centred(pixel))
                images[:, :, r, c] = pixel
        return images


class FeatureWalk(Walk, Protocol):
    """The feature maps of a network, at one pixel after the other."""

    def see(self, r: int, c: int, x: Tensor) -> None:
        """Remember all colours of a pixel, (N, C)."""
        ...


class Readout:
    """The parameters of one number from the feature maps at its pixel."""

    def __init__(self, network: PixelNetwork) -> None:
        mix, last = network.mix, network.last
        self.mix = (mix.weight * mix.mask)[:, :, 0, 0].mT, mix.bias
        count = network.sizes.n_params
        weights = (last.weight * last.mask)[:, :, 0, 0].mT.split(count, 1)
        self.last = list(zip(weights, last.bias.split(count), strict=True))

    def __call__(self, maps: Tensor, colour: int) -> Tensor:
        """Parameters (n_params, N) of a colour from maps (N, channels)."""
        weight, bias = self.mix
        mixed = torch.addmm(bias, torch.relu(maps), weight).relu_()
        weight, bias = self.last[colour]
        return torch.addmm(bias, mixed, weight).mT


class PixelStack(PixelNetwork):
    """A first convolution that does not see the number itself, and blocks that may.

    A context adds to the maps before each block.

    Args:
        sizes: of the layers.
        blocks: layers from feature maps to as many.
        kernel_size: of the first convolution.
        position: add a bias of its own for each place.
        margin: go on to a column beyond the right border, whose maps know all of their row. Blocks
            that come from the right need it: they would never hear of the last pixel of a row, for
            maps at a place do not know its number.
        generator: source of the initial weights.

    Raises:
        ValueError: for no blocks, or an even kernel.

    Example:
        >>> from anabranch.networks import ResidualPixels
        >>> sizes = PixelSizes((4, 4), n_params=1, channels=8)
        >>> PixelStack(sizes, [ResidualPixels(sizes)])(torch.zeros(5, 1, 4, 4)).shape
        torch.Size([1, 5, 1, 4, 4])
    """

    def __init__(
        self,
        sizes: PixelSizes,
        blocks: Sequence[PixelBlock],
        kernel_size: int = 7,
        *,
        position: bool = False,
        margin: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(sizes, generator)
        self.margin = int(margin)
        if not blocks:
            raise ValueError("blocks must be at least one, got none")
        self.first = CausalConv2d(
            sizes.colours, sizes.maps(), kernel_size, strict=True, generator=generator
        )
        self.place = PixelContext(sizes.channels, sizes.image_shape, position=position)
        self.blocks = nn.ModuleList(blocks)
        self.added = nn.ModuleList(sizes.context(generator=generator) for _ in blocks)

    def features(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Feature maps (N, channels, H, W) of images whose numbers are in [-1, 1]."""
        maps = self.place(self.first(pad(x, (0, self.margin))), None)
        for added, block in zip(self.added, self.blocks, strict=True):
            maps = block(added(maps, context))
        return maps[..., : x.shape[-1]]

    def walk(self, size: Shape, context: Tensor | None) -> "StackWalk":
        """The same one pixel after the other."""
        return StackWalk(self, size, context)


class StackWalk:
    """The feature maps of a `PixelStack`, at one pixel after the other."""

    def __init__(self, network: PixelStack, size: Shape, context: Tensor | None) -> None:
        n, height, width = size
        size = n, height, width + network.margin
        # what stands beyond the right border, and where
        self.beyond = network.first.weight.new_zeros(n, len(network.sizes.colours))
        self.last = width if network.margin else None
        self.first = network.first.steps(*size)
        self.layers: list[Walk] = [network.place.walk(None, size)]
        for added, block in zip(network.added, network.blocks, strict=True):
            self.layers += [added.walk(context, size), block.walk(size)]  # pyright: ignore[reportCallIssue] - nn.ModuleList forgets the class

    def row(self, r: int) -> None:
        """Begin row r, after the column beyond the border in the row above."""
        if r and self.last is not None:
            self.pixel(r - 1, self.last, self.beyond)
        self.first.row(r)
        for layer in self.layers:
            layer.row(r)

    def pixel(self, r: int, c: int, x: Tensor) -> Tensor:
        """Feature maps (N, channels) of a pixel from its colours so far, (N, C)."""
        maps = self.first.pixel(r, c, x)
        for layer in self.layers:
            maps = layer.pixel(r, c, maps)
        return maps

    def see(self, r: int, c: int, x: Tensor) -> None:
        """Remember all colours of a pixel, (N, C)."""
        self.first.see(r, c, x)
