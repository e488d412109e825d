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
