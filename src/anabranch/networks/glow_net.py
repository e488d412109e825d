"""The convolutional conditioner of Glow."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from anabranch.functional import as_shape
from anabranch.functional.shapes import Shape
from anabranch.networks.conv import Conv2d, by_component, image_size
from anabranch.networks.linear import Linear
from anabranch.networks.mlp import activate, join_context, make_activation

# learned maps beside the input
MAPS = 4


class GlowNet(nn.Module):
    r"""Three convolutions, of 3 x 3, 1 x 1 and 3 x 3, from images to images of the same sides.

    .. math:: h = a(W * (x, P) + C c), \qquad y = L * a(V * h)

    The middle one mixes channels in the cheapest way, so that nearly all time is spent in matrix
    products. P are a few learned maps beside the input, by which places differ: unlike textures,
    images of things are centred. (A bias of its own for each place of the hidden layer would cost a
    fifth of the training step.) The context c adds to each channel, and L starts at zero. Without
    hidden ``channels`` it is one convolution, :math:`y = L * x + P + C c`.

    Channels lie last in memory inside, and components take turns, each through the whole network.
    With ``half_precision`` the hidden layers compute in bfloat16 *while training*; in evaluation,
    where encode and decode have to undo each other, they never do.

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
        super().__init__()
        depth, *places = image_size(in_shape)
        if list(out_shape[1:]) != places:
            raise ValueError(f"images of {tuple(in_shape)} and {tuple(out_shape)} differ in sides")
        self.batch_shape, self.half_precision = tuple(batch_shape), half_precision
        context_shape = as_shape(context_shape, "context_shape")
        if len(context_shape) > 1:
            raise ValueError(f"context_shape must be the size of a vector, got {context_shape}")
        self.context_features = context_shape[0] if context_shape else 0
        self.activation = make_activation(activation)
        conv = partial(Conv2d, batch_shape=self.batch_shape, generator=generator)
        first = [conv(depth + MAPS, channels, 3), conv(channels, channels, 1)] if channels else []
        last = conv(channels or depth, out_shape[0], 3, zero=True)
        self.convolutions = nn.ModuleList([*first, last])
        width, self.hidden = channels or out_shape[0], channels > 0
        maps = MAPS if channels else width
        self.position = nn.Parameter(torch.zeros(*self.batch_shape, maps, *places))
        self.condition = None
        if self.context_features:
            self.condition = Linear(
                self.context_features,
                width,
                batch_shape=self.batch_shape,
                zero=not channels,
                generator=generator,
            )

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map (*batch_shape, N, C, H, W) to (*batch_shape, N, C', H, W)."""
        if not self.batch_shape and x.ndim > 4:  # shared by the components of what comes before
            lead, size = x.shape[:-3], self.context_features
            flat = None if context is None else context.expand(*lead, size).reshape(-1, size)
            return self(x.flatten(0, -4), flat).unflatten(0, lead)
        layers: list[Conv2d] = list(self.convolutions)  # pyright: ignore - it holds nothing else
        turns = zip(*(layer.each(self._dtype(x)) for layer in layers), strict=True)
        paths = [partial(self._through, convolutions) for convolutions in turns]
        places = self.position.unsqueeze(-4)
        return by_component(paths, self.batch_shape, x, places, self._shift(context, x))

    def _through(
        self,
        convolutions: Sequence[Callable[[Tensor], Tensor]],
        x: Tensor,
        places: Tensor,
        shift: Tensor,
    ) -> Tensor:
        """One component's images through all layers, in the format of its kernels."""
        first, *rest = convolutions
        dtype = self._dtype(x)
        maps = torch.cat((x, places.expand(len(x), -1, -1, -1)), 1) if self.hidden else x
        maps = first(maps.to(dtype, memory_format=torch.channels_last))
        if shift.numel():
            maps = maps + shift.to(dtype)
        for convolution in rest:
            maps = convolution(activate(self.activation, maps))
        maps = maps.to(x.dtype, memory_format=torch.contiguous_format)
        return maps if self.hidden else maps + places

    def _dtype(self, x: Tensor) -> torch.dtype:
        return torch.bfloat16 if self.half_precision and self.training else x.dtype

    def _shift(self, context: Tensor | None, x: Tensor) -> Tensor:
        """What the context adds to the first layer, (*batch_shape, N, C, 1, 1); empty for none."""
        if self.condition is None:
            return x.new_empty(1, 0, 1, 1)
        none = x.new_empty(0, x.shape[-4])
        columns = None if context is None else context.mT
        shift = self.condition.columns(join_context(none, columns, self.context_features))
        return shift.mT[..., None, None]

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return "bfloat16 while training" if self.half_precision else ""
