"""What a layer of a network over images adds for the place and for a context."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from anabranch.functional.shapes import Shape, as_shape
from anabranch.networks.causal_conv import uniform_weight


class PixelContext(nn.Module):
    r"""A bias that depends on the context, and on the place where it is asked to.

    .. math:: b_{rc}(h) = V h + P_{rc} \quad\text{or}\quad b_{rc}(h) = V h_{rc} + P_{rc}

    for a context that is a vector (a class, a code), or an image of the same sides. P starts at
    zero: unlike textures, images of things are centred.

    Args:
        n_maps: of the layer.
        image_shape: (C, H, W).
        context_shape: size of a vector context, or (C', H, W); 0 for none.
        position: whether P is there.
        generator: source of the initial weights.

    Raises:
        ValueError: for a context that is neither a vector nor an image of these sides.

    Example:
        >>> layer = PixelContext(4, (1, 8, 6), 3)
        >>> layer(torch.zeros(5, 4, 8, 6), torch.zeros(5, 3)).shape
        torch.Size([5, 4, 8, 6])
    """

    def __init__(
        self,
        n_maps: int,
        image_shape: Shape,
        context_shape: int | Shape = (),
        *,
        position: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.context_shape = as_shape(context_shape, "context_shape")
        sides = image_shape[1:]
        if len(self.context_shape) not in (0, 1, 3) or self.context_shape[1:] not in ((), sides):
            raise ValueError(
                "context_shape must be a size, or (C', H, W) with the sides "
                f"{' and '.join(map(str, sides))} of the images, got {context_shape}"
            )
        self.weight, self.bias = None, None
        if self.context_shape:
            shape = (n_maps, self.context_shape[0], 1, 1)
            self.weight = uniform_weight(shape, generator=generator)
            self.bias = nn.Parameter(torch.zeros(n_maps))
        self.position = nn.Parameter(torch.zeros(n_maps, *sides)) if position else None

    def forward(self, maps: Tensor, context: Tensor | None) -> Tensor:
        """Maps (N, n_maps, H, W) with what is added to them."""
        added = self.added(context)
        return maps if added is None else maps + widened(added, maps.shape[-1])

    def added(self, context: Tensor | None) -> Tensor | None:
        """What to add, (N or 1, n_maps, H or 1, W or 1), None for nothing."""
        places = None if self.position is None else self.position.unsqueeze(0)
        if self.weight is None or context is None:
            return places
        maps = context if context.ndim == 4 else context[..., None, None]
        told = conv2d(maps, self.weight, self.bias)
        return told if places is None else told + places

    def walk(self, context: Tensor | None, size: Shape) -> "PixelBias":
        """The same for one pixel after the other; size is number of images, height, width."""
        return PixelBias(self.added(context), size)


class PixelBias:
    """What a layer adds, at one pixel after the other.

    Args:
        added: (N or 1, n_maps, H or 1, W or 1), None for nothing.
        size: number of images, height, width.

    Example:
        >>> PixelBias(torch.ones(1, 2, 1, 1), (3, 4, 5)).pixel(0, 0, torch.zeros(3, 2))
        tensor([[1., 1.],
                [1., 1.],
                [1., 1.]])
    """

    def __init__(self, added: Tensor | None, size: Shape) -> None:
        n, height, width = size
        self.places = None
        if added is not None:
            wide = widened(added.detach(), width).expand(n, -1, height, width)
            self.places = wide.permute(2, 3, 0, 1)

    def row(self, r: int) -> None:
        """Begin row r, for which nothing has to be done."""

    def pixel(self, r: int, c: int, x: Tensor) -> Tensor:
        """Maps (N, n_maps) of a pixel with what is added to them."""
        return x if self.places is None else x + self.places[r, c]

    def rows(self, r: int) -> Tensor | None:
        """What is added to a whole row, (W, N, n_maps), None for nothing."""
        return None if self.places is None else self.places[r]


def widened(added: Tensor, width: int) -> Tensor:
    """Zeros on the right of maps that are a column narrower than others; not where they have one.

    Example:
        >>> widened(torch.ones(1, 1, 1, 2), 3)
        tensor([[[[1., 1., 0.]]]])
    """
    beyond = width - added.shape[-1] if added.shape[-1] > 1 else 0
    return pad(added, (0, beyond)) if beyond else added
