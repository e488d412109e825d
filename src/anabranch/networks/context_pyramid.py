"""What a convolutional network makes of an image, at several scales."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from anabranch.networks.conv import image_size
from anabranch.networks.strided_conv import StridedConv2d


class ContextPyramid(nn.Module):
    r"""Maps of an image at several scales, one after another in one vector.

    .. math:: h_1 = V_1 * a(U_1 * \uparrow c), \qquad h_{l+1} = V_{l+1} * a(U_{l+1} *_2 a(h_l))

    where the image c is brought to the sides of the largest map by repeating its pixels, or leaving
    some out. Each scale of a conditional flow takes its own map, see
    `anabranch.transforms.GivenPart`.

    Args:
        image_shape: (H, W) or (C, H, W) of the images, which come as rows.
        sides: height and width of each map; each half of those before, rounded up.
        channels: of each map.
        generator: source of the initial weights.

    Attributes:
        shapes: of the maps, (channels, height, width) each.

    Shapes:
        c: (..., C H W), giving (..., sum of the sizes of all maps).

    Raises:
        ValueError: for an image_shape that is none, or sides that are not halved.

    Source: Winkler, Worrall, Hoogeboom, Welling (2019), "Learning likelihoods with conditional
    normalizing flows", arXiv:1912.00042.

    Example:
        >>> net = ContextPyramid((2, 2), [(4, 4), (2, 2)], channels=3)
        >>> net.shapes, net(torch.zeros(5, 4)).shape
        ([(3, 4, 4), (3, 2, 2)], torch.Size([5, 60]))
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        sides: Sequence[tuple[int, int]],
        *,
        channels: int = 16,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.image_shape = image_size(image_shape)
        for large, small in pairwise(sides):
            if tuple(small) != tuple((side + 1) // 2 for side in large):
                raise ValueError(f"sides must halve from map to map, got {list(sides)}")
        self.shapes = [(channels, *side) for side in sides]
        first = [self.image_shape[0], *[channels] * (len(sides) - 1)]
        self.into = nn.ModuleList(
            StridedConv2d(depth, channels, stride=1 if i == 0 else 2, generator=generator)
            for i, depth in enumerate(first)
        )
        self.out = nn.ModuleList(
            StridedConv2d(channels, channels, generator=generator) for _ in sides
        )

    @property
    def size(self) -> int:
        """How many numbers all maps hold."""
        return sum(prod(shape) for shape in self.shapes)

    def forward(self, c: Tensor) -> Tensor:
        """The maps of rows of pixels."""
        x = c.reshape(-1, *self.image_shape)
        x, maps = interpolate(x, self.shapes[0][1:], mode="nearest-exact"), []
        for into, out in zip(self.into, self.out, strict=True):
            x = out(relu(into(x)))
            maps.append(x.flatten(1))
            x = relu(x)
        return torch.cat(maps, 1).reshape(*c.shape[:-1], -1)
