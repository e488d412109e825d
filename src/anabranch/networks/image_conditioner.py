"""What convolutional conditioners with a component axis share."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Generator, Tensor, nn

from anabranch.functional import as_shape
from anabranch.functional.shapes import Shape
from anabranch.networks.conv import Conv2d, by_component, image_size
from anabranch.networks.linear import Linear
from anabranch.networks.mlp import join_context

Convolutions = Sequence[Callable[[Tensor], Tensor]]


class ImageConditioner(nn.Module):
    r"""A network of convolutions from images to images of the same sides.

    Components take turns, each through the whole network. With ``half_precision`` it computes in
    bfloat16 *while training*; in evaluation, where encode and decode have to undo each other, it
    never does.

    A subclass puts all its parameters into ``convolutions`` and ``position``, and says by
    ``_through`` how one component's images pass them.

    Args:
        in_shape: of the input, (C, H, W).
        out_shape: of the output, (C', H, W).
        width: channels to which the context adds.
        context_shape: size of a vector context; 0 for none.
        half_precision: whether it computes in bfloat16 while training.
        batch_shape: the component axis.
        generator: source of the weights of the context; None where these start at zero.

    Shapes:
        x: (*batch_shape, N, C, H, W) or without batch_shape, giving (*batch_shape, N, C', H, W).

    Raises:
        ValueError: for images of unlike sides, or a context that is no vector.
    """

    convolutions: nn.ModuleList
    position: nn.Parameter

    def __init__(
        self,
        in_shape: Sequence[int],
        out_shape: Sequence[int],
        width: int,
        *,
        context_shape: int | Shape = (),
        half_precision: bool = False,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        if list(out_shape[1:]) != list(image_size(in_shape)[1:]):
            raise ValueError(f"images of {tuple(in_shape)} and {tuple(out_shape)} differ in sides")
        self.batch_shape, self.half_precision = tuple(batch_shape), half_precision
        context_shape = as_shape(context_shape, "context_shape")
        if len(context_shape) > 1:
            raise ValueError(f"context_shape must be the size of a vector, got {context_shape}")
        self.context_features = context_shape[0] if context_shape else 0
        self.condition = None
        if self.context_features:
            self.condition = Linear(
                self.context_features, width, batch_shape=self.batch_shape, generator=generator
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

    @abstractmethod
    def _through(
        self, convolutions: Convolutions, x: Tensor, places: Tensor, shift: Tensor
    ) -> Tensor:
        """One component's images (N, C, H, W) through all layers.

        Args:
            convolutions: this component's, in the order of ``self.convolutions``.
            x: the images.
            places: this component's ``position``, (1, ...).
            shift: what its context adds, (N, width, 1, 1); empty where there is none.
        """

    def _dtype(self, x: Tensor) -> torch.dtype:
        return torch.bfloat16 if self.half_precision and self.training else x.dtype

    def _shift(self, context: Tensor | None, x: Tensor) -> Tensor:
        """What the context adds, (*batch_shape, N, width, 1, 1); empty for none."""
        if self.condition is None:
            return x.new_empty(1, 0, 1, 1)
        none = x.new_empty(0, x.shape[-4])
        columns = None if context is None else context.mT
        shift = self.condition.columns(join_context(none, columns, self.context_features))
        return shift.mT[..., None, None]

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return "bfloat16 while training" if self.half_precision else ""
