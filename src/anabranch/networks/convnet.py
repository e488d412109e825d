"""The convolutional conditioner of couplings over images."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from anabranch.functional import expand_batch
from anabranch.functional.shapes import Shape
from anabranch.networks.conv import Conv2d, image_size
from anabranch.networks.linear import Linear
from anabranch.networks.mlp import join_context, make_activation


class ConvNet(nn.Module):
    r"""A residual convolutional network that tells some pixels how to move, from those that stay.

    .. math:: h_0 = W * x + P, \quad h_{i+1} = h_i + V_i * a(U_i * a(h_i)), \quad
        y = L * a(h_n)

    The pixels that stay are seen in their places, with zeros at those that move. Squares of
    ``patch`` x ``patch`` pixels become channels (Shi et al. 2016, arXiv:1609.05158), which sees
    further at a cost divided by the pixels of a square. P is a bias of its own for each place:
    unlike textures, images of things are centred. A context adds to P, alike in all places.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), "Real NVP", arXiv:1605.08803; residual blocks of
    He, Zhang, Ren, Sun (2016), arXiv:1603.05027.

    Args:
        image_shape: (H, W) or (C, H, W).
        kept: numbers of the pixels that are the input, in their order.
        moved: numbers of the pixels that outputs are for, in their order.
        n_params: outputs per moved pixel, parameter-major: output p of moved pixel i is number
            p len(moved) + i.
        channels: width of the hidden layers.
        n_blocks: residual blocks.
        patch: side of the squares; it divides H and W.
        context_features: size of the context; 0 for none.
        activation: a.
        batch_shape: the component axis.
        zero_last: start with output zero, so that a flow starts at the identity.
        generator: source of the initial weights.

    Shapes:
        x: (*batch_shape, N, len(kept)) or without batch_shape, giving
        (*batch_shape, N, n_params len(moved)); as columns with the last two exchanged.

    Raises:
        ValueError: for an image_shape that is none, a patch that does not divide it, or an
            unknown activation.

    Example:
        >>> net = ConvNet((4, 4), kept=[0, 2, 5], moved=[1, 3], n_params=2, channels=8)
        >>> net(torch.zeros(6, 3)).shape
        torch.Size([6, 4])
    """

    shared_buffers = ("kept", "moved")
    kept: Tensor
    moved: Tensor

    def __init__(
        self,
        image_shape: Sequence[int],
        *,
        kept: Sequence[int],
        moved: Sequence[int],
        n_params: int,
        channels: int = 32,
        n_blocks: int = 1,
        patch: int = 1,
        context_features: int = 0,
        activation: str = "relu",
        batch_shape: Shape = (),
        zero_last: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.image_shape, self.patch = image_size(image_shape), check_patch(image_shape, patch)
        self.batch_shape, self.context_features = tuple(batch_shape), context_features
        self.register_buffer("kept", torch.as_tensor(kept, dtype=torch.long), False)
        self.register_buffer("moved", torch.as_tensor(moved, dtype=torch.long), False)
        self.activation = make_activation(activation)
        depth, *places = self.image_shape
        depth, places = depth * patch**2, [side // patch for side in places]

        def conv(fan_in: int, fan_out: int, *, zero: bool = False) -> Conv2d:
            return Conv2d(fan_in, fan_out, batch_shape=batch_shape, zero=zero, generator=generator)

        self.first = conv(depth, channels)
        self.position = nn.Parameter(torch.zeros(*batch_shape, channels, *places))
        self.condition = (
            Linear(context_features, channels, batch_shape=batch_shape, generator=generator)
            if context_features
            else None
        )
        self.blocks = nn.ModuleList(conv(channels, channels) for _ in range(2 * n_blocks))
        self.last = conv(channels, n_params * depth, zero=zero_last)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map (*batch_shape, N, len(kept)) to (*batch_shape, N, n_params * len(moved))."""
        x = expand_batch(x, self.batch_shape, 1)
        return self.columns(x.mT, None if context is None else context.mT).mT

    def columns(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The same on columns: (*batch_shape, len(kept), N), context likewise."""
        x = expand_batch(x, self.batch_shape, 1)
        added = self._added(join_context(x[..., :0, :], context, self.context_features))
        maps = to_patches(self._images(x), self.patch)
        maps = self._residual(self.first.maps(maps) + added)
        maps = from_patches(self.last.maps(self.activation(maps)), self.patch)
        return self._columns(maps, x.shape[:-2])

    def _residual(self, maps: Tensor) -> Tensor:
        layers = list(self.blocks)
        for first, second in zip(layers[::2], layers[1::2], strict=True):
            step = first.maps(self.activation(maps))  # pyright: ignore[reportCallIssue]
            maps = maps + second.maps(self.activation(step))  # pyright: ignore[reportCallIssue]
        return maps

    def _added(self, context: Tensor) -> Tensor:
        """What place and context add to the first layer: (1 or N, K channels, H', W')."""
        places = self.position.reshape(-1, *self.position.shape[-2:])
        if self.condition is None:
            return places
        shift = self.condition.columns(context)
        return places + shift.flatten(0, -2).mT[..., None, None]

    def _images(self, x: Tensor) -> Tensor:
        """Columns as images with the kept pixels in place, (N, K C, H, W)."""
        depth, height, width = self.image_shape
        whole = x.new_zeros(*x.shape[:-2], prod(self.image_shape), x.shape[-1])
        rows = whole.index_copy(-2, self.kept, x).flatten(0, -2).mT
        return rows.reshape(x.shape[-1], prod(self.batch_shape) * depth, height, width)

    def _columns(self, maps: Tensor, lead: Sequence[int]) -> Tensor:
        """The parameters of the moved pixels as columns (*lead, n_params * len(moved), N)."""
        pixels = maps.flatten(1).mT.unflatten(0, (*lead, -1, prod(self.image_shape)))
        return pixels.index_select(-2, self.moved).flatten(-3, -2)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        stack = f", batch_shape={self.batch_shape}" if self.batch_shape else ""
        return f"{self.image_shape}, patch={self.patch}{stack}"


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
