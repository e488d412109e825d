"""Normalisation layers by name, for recipes."""

from anabranch.functional.shapes import Shape
from anabranch.transforms import ActNorm, BatchNorm, Transform


def norm_layer(name: str | None, features: int, batch_shape: Shape) -> list[Transform]:
    """The layer of that name as a list of one, or none.

    Raises:
        ValueError: for an unknown name.

    Example:
        >>> norm_layer("actnorm", 2, ())
        [ActNorm((2,))]
    """
    if name is None:
        return []
    if name == "actnorm":
        return [ActNorm(features, batch_shape=batch_shape)]
    if name == "batchnorm":
        return [BatchNorm(features, batch_shape=batch_shape)]
    raise ValueError(f"norm must be 'actnorm', 'batchnorm' or None, got {name!r}")
