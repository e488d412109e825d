"""Stacks of layers in turn, for recipes."""

from collections.abc import Callable

from anabranch.models.norms import norm_layer
from anabranch.transforms import Compose, Transform


def stack(layer: Callable[[int], Transform], n_layers: int, norm: str | None = None) -> Compose:
    """Layers 0, 1, ... one after another, each with a normalisation behind it.

    Args:
        layer: makes the layer of that number.
        n_layers: how many.
        norm: "actnorm", "batchnorm" or None.

    Raises:
        ValueError: for fewer than one layer, or an unknown norm.

    Example:
        >>> from anabranch.transforms import Reverse
        >>> len(stack(lambda i: Reverse(3), 2, "actnorm").transforms)
        4
    """
    if n_layers < 1:
        raise ValueError(f"n_layers must be at least 1, got {n_layers}")
    layers: list[Transform] = []
    for i in range(n_layers):
        made = layer(i)
        layers += [made, *norm_layer(norm, made.event_shape[0], made.batch_shape)]
    return Compose(layers)


def half(features: int, turn: int) -> list[bool]:
    """Which features move: the second half in even turns, the first in odd ones; one always does.

    Example:
        >>> half(3, 0), half(3, 1), half(1, 1)
        ([False, True, True], [True, False, False], [True])
    """
    return [(d >= features // 2) == (turn % 2 == 0 or features == 1) for d in range(features)]


def every_other(features: int, turn: int) -> list[bool]:
    """Which features move: those of even numbers in even turns, the others in odd ones.

    Example:
        >>> every_other(3, 0), every_other(3, 1), every_other(1, 1)
        ([True, False, True], [False, True, False], [True])
    """
    return [d % 2 == turn % 2 or features == 1 for d in range(features)]


def checkerboard(size: tuple[int, int, int], turn: int) -> list[bool]:
    """Which pixels of (C, H, W) move: the fields of one colour, in all channels alike.

    Raises:
        ValueError: for an image of one field.

    Example:
        >>> checkerboard((1, 2, 3), 0)
        [True, False, True, False, True, False]
    """
    channels, height, width = size
    if height * width == 1:
        raise ValueError("image_shape must have more than one place, got a height and width of 1")
    board = [(i + j) % 2 == turn % 2 for i in range(height) for j in range(width)]
    return board * channels


def order(features: int, turn: int) -> list[int]:
    """Places of the features: natural in even turns, reversed in odd ones.

    Example:
        >>> order(3, 0), order(3, 1)
        ([0, 1, 2], [2, 1, 0])
    """
    natural = list(range(features))
    return natural if turn % 2 == 0 else natural[::-1]


def width(features: int) -> tuple[int]:
    """Hidden sizes of a coupling's network by default: one layer of 4 D units, 32 to 64.

    Example:
        >>> width(2), width(10), width(100)
        ((32,), (40,), (64,))
    """
    return (min(64, max(32, 4 * features)),)
