"""The convolutional conditioner of Glow."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from anabranch.functional.layout import channels_last
from anabranch.functional.shapes import Shape
from anabranch.networks.conv import Conv2d
from anabranch.networks.image_conditioner import Convolutions, ImageConditioner
from anabranch.networks.mlp import activate, make_activation

# learned maps beside the input
MAPS = 4


class GlowNet(ImageConditioner):
    r"""Three convolutions, of 3 x 3, 1 x 1 and 3 x 3, from images to images of the same sides.

    .. math:: h = a(W * (x, P) + C c), \qquad y = L * a(V * h)

    The middle one mixes channels in the cheapest way, so that nearly all time is spent in matrix
    products. P are a few learned maps beside the input, by which places differ: unlike textures,
    images of things are centred. (A bias of its own for each place of the hidden layer would cost a
    fifth of the training step.) The context c adds to each channel, and L starts at zero. Without
    hidden ``channels`` it is one convolution, :math:`y = L * x + P + C c`.

    Channels lie last in memory inside. The format of the hidden layers, and the component axis, are
    as of `ImageConditioner`.

    Source: Kingma, Dhariwal (2018), "Glow", arXiv:1807.03039, without normalisation inside.

    Args:
        in_shape: of the input, (C, H, W).
        out_shape: of the output, (C', H, W).
        channels: width of the hidden layers; 0 for none.
        half_precision: whether hidden layers compute in bfloat16 while training.
        context_shape: size of a vector context; 0 for none.
        activation: a.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Shapes:
        x: (*batch_shape, N, C, H, W) or without batch_shape, giving (*batch_shape, N, C', H, W).

    Raises:
        ValueError: for images of unlike sides, a context that is no vector, or an unknown
            activation.

    Example:
        >>> net = GlowNet((2, 4, 4), (6, 4, 4), channels=8)
        >>> net(torch.zeros(5, 2, 4, 4)).shape
        torch.Size([5, 6, 4, 4])
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_shape: Sequence[int],
        *,
        channels: int = 64,
        half_precision: bool = False,
        context_shape: int | Shape = (),
        activation: str = "relu",
        batch_shape: Shape = (),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            in_shape,
            out_shape,
            channels or out_shape[0],
            context_shape=context_shape,
            half_precision=half_precision,
            batch_shape=batch_shape,
            generator=generator,
        )
        depth, *places = in_shape
        self.activation = make_activation(activation)
        conv = partial(Conv2d, batch_shape=self.batch_shape, generator=generator)
        first = [conv(depth + MAPS, channels, 3), conv(channels, channels, 1)] if channels else []
        last = conv(channels or depth, out_shape[0], 3, zero=True)
        self.convolutions = nn.ModuleList([*first, last])
        self.hidden = channels > 0
        maps = MAPS if channels else out_shape[0]
        self.position = nn.Parameter(torch.zeros(*self.batch_shape, maps, *places))
        if self.condition is not None and not channels:
            nn.init.zeros_(self.condition.weight)
            nn.init.zeros_(self.condition.bias)

    def _through(
        self, convolutions: Convolutions, x: Tensor, places: Tensor, shift: Tensor
    ) -> Tensor:
        first, *rest = convolutions
        dtype = self._dtype(x)
        maps = torch.cat((x, places.expand(x.shape[0], -1, -1, -1)), 1) if self.hidden else x
        maps = first(channels_last(maps, dtype))
        if shift.numel():
            maps = maps + shift.to(dtype)
        for convolution in rest:
            maps = convolution(activate(self.activation, maps))
        maps = maps.to(x.dtype, memory_format=torch.contiguous_format)
        return maps if self.hidden else maps + places
