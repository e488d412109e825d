"""A convolutional classifier, the posterior network for images."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from anabranch.functional import expand_batch
from anabranch.functional.shapes import Shape
from anabranch.networks.conv import Conv2d, by_component, image_size
from anabranch.networks.mlp import MLP, make_activation


class ConvClassifier(nn.Module):
    r"""Logits from images: convolution, activation and pooling in turn, then an MLP.

    Each pooling takes the largest of 2 x 2 and halves the sides, rounded up.

    Source: LeCun, Bottou, Bengio, Haffner (1998), "Gradient-based learning applied to document
    recognition", in today's form.

    Args:
        image_shape: (H, W) or (C, H, W).
        out_features: how many logits, K for a posterior network.
        channels: channels after each convolution of 3 x 3.
        hidden: hidden sizes of the MLP.
        activation: of all layers.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Shapes:
        x: (*batch_shape, N, C H W) or (N, C H W), pixels as features, giving
        (*batch_shape, N, out_features).

    Raises:
        ValueError: for an image_shape that is none, or an unknown activation.

    Example:
        >>> net = ConvClassifier((28, 28), 5)
        >>> net(torch.zeros(3, 784)).shape
        torch.Size([3, 5])
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        out_features: int,
        channels: Sequence[int] = (16, 32),
        hidden: Sequence[int] = (128,),
        *,
        activation: str = "relu",
        batch_shape: Shape = (),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.image_shape, self.batch_shape = image_size(image_shape), tuple(batch_shape)
        self.activation = make_activation(activation)
        depths = [self.image_shape[0], *channels]
        self.convolutions = nn.ModuleList(
            Conv2d(fan_in, fan_out, batch_shape=batch_shape, generator=generator)
            for fan_in, fan_out in pairwise(depths)
        )
        places = [-(-side // 2 ** len(channels)) for side in self.image_shape[1:]]
        self.head = MLP(
            depths[-1] * prod(places),
            out_features,
            hidden,
            activation=activation,
            batch_shape=batch_shape,
            generator=generator,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (*batch_shape, N, C H W) to (*batch_shape, N, out_features)."""
        images = expand_batch(x, self.batch_shape, 1).unflatten(-1, self.image_shape)
        turns = zip(*(layer.each() for layer in self.convolutions), strict=True)  # pyright: ignore
        paths = [partial(self._through, convolutions) for convolutions in turns]
        return self.head(by_component(paths, self.batch_shape, images).flatten(-3))

    def _through(self, convolutions: Sequence[Callable[[Tensor], Tensor]], maps: Tensor) -> Tensor:
        """One component's images through all layers."""
        for convolution in convolutions:
            maps = self.activation(max_pool2d(convolution(maps), 2, ceil_mode=True))
        return maps
