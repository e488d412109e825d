"""A convolutional encoder of an image and a label."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from anabranch.networks.conv import image_size
from anabranch.networks.conv_block import ConvBlock
from anabranch.networks.labelled import LabelledMLP
from anabranch.networks.linear import Linear


class ConvEncoder(nn.Module):
    r"""Convolutions of an image, and an MLP of what they find and of a label.

    .. math:: f(x, y) = \operatorname{LabelledMLP}(c(x), y)

    The convolutions c do not depend on the label, so that all labels cost little more than one.

    Args:
        image_shape: (H, W) or (C, H, W).
        n_labels: K; 0 for a network of x alone.
        out_features: size of the output.
        channels: channels of each level of convolutions, at least one.
        strides: by which each level divides the sides, rounded up; None for 2 each.
        residual: whether levels are residual pairs.
        hidden: hidden sizes of the MLP, at least one; the label enters the last.
        activation: of all layers.
        generator: source of the initial weights.

    Raises:
        ValueError: for an image_shape that is none, no channels or no hidden layer, or strides
            that are not as many as channels.

    Example:
        >>> net = ConvEncoder((28, 28), 3, 2, hidden=(16,))
        >>> net.columns(torch.zeros(784, 5)).shape  # all labels
        torch.Size([2, 3, 5])
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        n_labels: int,
        out_features: int,
        channels: Sequence[int] = (16, 32),
        strides: Sequence[int] | None = None,
        *,
        residual: bool = False,
        hidden: Sequence[int] = (128,),
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        strides = check_levels(channels, strides)
        self.image_shape = image_size(image_shape)
        how = {"residual": residual, "activation": activation, "generator": generator}
        self.blocks = nn.Sequential(
            *(
                ConvBlock(fan_in, fan_out, stride=stride, **how)
                for (fan_in, fan_out), stride in zip(
                    pairwise([self.image_shape[0], *channels]), strides, strict=True
                )
            )
        )
        self.head = LabelledMLP(
            channels[-1] * prod(level_sides(self.image_shape, strides)[-1]),
            n_labels,
            out_features,
            hidden,
            activation=activation,
            generator=generator,
        )

    @property
    def last(self) -> Linear:
        """The last layer, whose output is the network's."""
        return self.head.last

    @property
    def label(self) -> nn.Parameter | None:
        """What labels add to the last hidden layer, (hidden[-1], K); None without labels."""
        return self.head.label

    def columns(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        r"""Evaluate columns of pixels.

        Args:
            x: (C H W, N).
            y: one-hot labels (K, \*lead, N), or other weights of the labels; None for each label in
                turn.

        Returns:
            (out_features, \*lead, N), with K in place of lead where y is None. Without labels lead
            is 1.
        """
        found = self.blocks(x.mT.reshape(-1, *self.image_shape))
        return self.head.columns(found.flatten(1).mT, y)


def check_levels(channels: Sequence[int], strides: Sequence[int] | None) -> tuple[int, ...]:
    """The strides of levels with these channels, 2 each by default.

    Raises:
        ValueError: for no channels, or strides that are not as many.

    Example:
        >>> check_levels([16, 32], None)
        (2, 2)
    """
    if not channels:
        raise ValueError("channels must have at least one size")
    strides = (2,) * len(channels) if strides is None else tuple(strides)
    if len(strides) != len(channels):
        raise ValueError(
            f"strides must be as many as channels, {len(channels)}, got {list(strides)}"
        )
    return strides


def level_sides(size: tuple[int, int, int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Height and width of an image, and after each level.

    Example:
        >>> level_sides((1, 28, 9), (2, 2))
        [(28, 9), (14, 5), (7, 3)]
    """
    sides = [size[1:]]
    for stride in strides:
        height, width = sides[-1]
        sides.append((-(-height // stride), -(-width // stride)))
    return sides
