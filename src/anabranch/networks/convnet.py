"""The convolutional conditioner of couplings over images."""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod

import torch
from torch import Tensor, nn

from anabranch.functional import as_shape
from anabranch.functional.layout import channels_last
from anabranch.functional.shapes import Shape
from anabranch.networks.conv import Conv2d, by_component, image_size
from anabranch.networks.linear import Linear
from anabranch.networks.mlp import join_context, make_activation


class ConvNet(nn.Module):
    r"""A residual convolutional network from images to images of the same height and width.

    .. math:: h_0 = W * x + P, \quad h_{i+1} = h_i + V_i * a(U_i * a(h_i)), \quad
        y = L * a(h_n)

    Squares of ``patch`` x ``patch`` pixels become channels (Shi et al. 2016, arXiv:1609.05158),
    which sees further at a cost divided by the pixels of a square. P is a bias of its own for each
    place: unlike textures, images of things are centred. A context that is a vector adds to P,
    alike in all places; one that is an image stands beside the input as further channels.

    Components take turns, each through the whole network, and inside channels lie last in memory.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), "Real NVP", arXiv:1605.08803; residual blocks of
    He, Zhang, Ren, Sun (2016), arXiv:1603.05027.

    Args:
        in_shape: of the input, (C, H, W).
        out_shape: of the output, (C', H, W).
        channels: width of the hidden layers.
        n_blocks: residual blocks.
        patch: side of the squares; it divides H and W.
        context_shape: size of a vector context, or (C'', H, W); 0 for none.
        activation: a.
        batch_shape: the component axis.
        zero_last: start with output zero, so that a flow starts at the identity.
        weight_norm: whether kernels have lengths of their own, see `Conv2d`.
        half_precision: whether it computes in bfloat16 while training, see `GlowNet`.
        generator: source of the initial weights.

    Shapes:
        x: (*batch_shape, N, C, H, W) or without batch_shape, giving (*batch_shape, N, C', H, W);
        the context (*batch_shape, N, *context_shape) likewise.

    Raises:
        ValueError: for shapes that do not fit, a patch that does not divide them, or an unknown
            activation.

    Example:
        >>> net = ConvNet((1, 4, 4), (2, 4, 4), channels=8)
        >>> net(torch.zeros(6, 1, 4, 4)).shape
        torch.Size([6, 2, 4, 4])
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_shape: Sequence[int],
        *,
        channels: int = 32,
        n_blocks: int = 1,
        patch: int = 1,
        context_shape: int | Shape = (),
        activation: str = "relu",
        batch_shape: Shape = (),
        zero_last: bool = True,
        weight_norm: bool = False,
        half_precision: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        depth, *places = image_size(in_shape)
        self.patch, self.out_depth = check_patch(in_shape, patch), image_size(out_shape)[0]
        self.batch_shape, self.half_precision = tuple(batch_shape), half_precision
        self.context_shape = as_shape(context_shape, "context_shape")
        self.pictured = len(self.context_shape) == 3  # whether the context is an image
        beside = [tuple(out_shape), *([self.context_shape] if len(self.context_shape) > 1 else [])]
        if any(list(shape[1:]) != places for shape in beside):
            raise ValueError(f"images of {tuple(in_shape)} and {beside[-1]} differ in their sides")
        self.activation = make_activation(activation)
        depth = (depth + self.pictured * (self.context_shape or (0,))[0]) * patch**2

        conv = partial(
            Conv2d, batch_shape=batch_shape, weight_norm=weight_norm, generator=generator
        )
        self.first = conv(depth, channels)
        self.position = nn.Parameter(
            torch.zeros(*batch_shape, channels, *(side // patch for side in places))
        )
        self.condition = None
        if self.context_shape and not self.pictured:
            self.condition = Linear(
                prod(self.context_shape), channels, batch_shape=batch_shape, generator=generator
            )
        self.blocks = nn.ModuleList(conv(channels, channels) for _ in range(2 * n_blocks))
        self.last = conv(channels, self.out_depth * patch**2, zero=zero_last)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map (*batch_shape, N, C, H, W) to (*batch_shape, N, C', H, W)."""
        if not self.batch_shape and x.ndim > 4:  # shared by the components of what comes before
            lead, kind = x.shape[:-3], self.context_shape
            flat = None if context is None else context.expand(*lead, *kind).reshape(-1, *kind)
            return self(x.flatten(0, -4), flat).unflatten(0, lead)
        if self.pictured:
            if context is None:
                raise ValueError(f"context of shape (..., {self.context_shape}) is required")
            lead = max(x.shape[:-3], context.shape[:-3], key=len)
            x = torch.cat([t.expand(*lead, *t.shape[-3:]) for t in (x, context)], dim=-3)
        added = self._added(None if context is None or self.pictured else context.mT, x)
        layers: list[Conv2d] = [self.first, *self.blocks, self.last]  # pyright: ignore - of blocks
        dtype = torch.bfloat16 if self.half_precision and self.training else x.dtype
        turns = zip(*(layer.each(dtype) for layer in layers), strict=True)
        paths = [partial(self._through, convolutions) for convolutions in turns]
        return by_component(paths, self.batch_shape, x, added.to(dtype))

    def _through(
        self, convolutions: Sequence[Callable[[Tensor], Tensor]], x: Tensor, added: Tensor
    ) -> Tensor:
        """One component's images through all layers."""
        first, *blocks, last = convolutions
        maps = channels_last(to_patches(x, self.patch), added.dtype)
        maps = first(maps) + added
        for one, two in zip(blocks[::2], blocks[1::2], strict=True):
            maps = maps + two(self.activation(one(self.activation(maps))))
        answers = last(self.activation(maps)).to(x.dtype, memory_format=torch.contiguous_format)
        return from_patches(answers, self.patch)

    def _added(self, context: Tensor | None, x: Tensor) -> Tensor:
        """What place and context add to the first layer: (*batch_shape, 1 or N, C, H', W')."""
        places = self.position.unsqueeze(-4)
        if self.condition is None:
            return places
        none = x.new_empty(0, x.shape[-4])
        shift = self.condition.columns(join_context(none, context, prod(self.context_shape)))
        return places + shift.mT[..., None, None]

    def extra_repr(self) -> str:
        """What repr shows of it."""
        stack = f", batch_shape={self.batch_shape}" if self.batch_shape else ""
        return f"patch={self.patch}{stack}"


def check_patch(image_shape: Sequence[int], patch: int) -> int:
    """The patch, where it divides height and width.

    Raises:
        ValueError: where it does not.

    Example:
        >>> check_patch((28, 28), 5)
        Traceback (most recent call last):
        ValueError: patch must divide both sides of the image, 28 and 28, got 5
    """
    height, width = image_size(image_shape)[1:]
    if patch < 1 or height % patch or width % patch:
        raise ValueError(
            f"patch must divide both sides of the image, {height} and {width}, got {patch}"
        )
    return patch


def to_patches(maps: Tensor, patch: int) -> Tensor:
    """Turn squares of pixels into channels, (N, C, H, W) to (N, C patch², H/patch, W/patch).

    As torch's pixel_unshuffle, which leaves a batch without rows as it was.

    Example:
        >>> to_patches(torch.zeros(0, 1, 4, 4), 2).shape
        torch.Size([0, 4, 2, 2])
    """
    if patch == 1:
        return maps
    squares = maps.unflatten(-1, (-1, patch)).unflatten(-3, (-1, patch))
    return squares.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def from_patches(maps: Tensor, patch: int) -> Tensor:
    """Undo `to_patches`.

    Example:
        >>> from_patches(torch.zeros(3, 4, 2, 2), 2).shape
        torch.Size([3, 1, 4, 4])
    """
    if patch == 1:
        return maps
    squares = maps.unflatten(1, (-1, patch, patch))
    return squares.permute(0, 1, 4, 2, 5, 3).flatten(-2).flatten(-3, -2)


def largest_patch(size: tuple[int, int, int]) -> int:
    """Sides of the squares that a network sees as one place: 4, 2 or 1, the first that fits.

    Example:
        >>> largest_patch((1, 28, 28)), largest_patch((3, 6, 4)), largest_patch((1, 5, 4))
        (4, 2, 1)
    """
    return next(patch for patch in (4, 2, 1) if size[1] % patch == size[2] % patch == 0)
