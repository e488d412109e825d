"""Layers one after another, with normalisations between them."""

from collections.abc import Callable, Sequence

from anabranch.transforms import ActNorm, BatchNorm, Compose, Transform

NORMS: dict[str, Callable[..., Transform]] = {"actnorm": ActNorm, "batchnorm": BatchNorm}


def stack_layers(layers: Sequence[Transform], norm: str | None = None) -> Compose:
    """Layers of a recipe one after another, each with a normalisation behind it.

    Args:
        layers: one or more.
        norm: "actnorm", "batchnorm" or None.

    Raises:
        ValueError: without a layer, or for an unknown norm.

    Example:
        >>> from anabranch.transforms import Reverse
        >>> len(stack_layers([Reverse(3), Reverse(3)], "actnorm").transforms)
        4
    """
    if not layers:
        raise ValueError("n_layers must be at least 1, got 0")
    if norm is None:
        return Compose(layers)
    if norm not in NORMS:
        raise ValueError(f"norm must be 'actnorm', 'batchnorm' or None, got {norm!r}")
    parts: list[Transform] = []
    for layer in layers:
        parts += [layer, NORMS[norm](layer.event_shape[0], batch_shape=layer.batch_shape)]
    return Compose(parts)
