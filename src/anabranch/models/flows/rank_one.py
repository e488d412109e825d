"""What planar and radial flows share."""

from collections.abc import Sequence
from typing import Any

from anabranch.distributions import DiagonalNormal, Flow, Normal
from anabranch.models.generators import make_generator
from anabranch.transforms import Compose, Inverse, Planar, Radial


def rank_one_flow(
    layer: type[Planar] | type[Radial],
    features: int,
    *,
    n_layers: int,
    inverse: bool,
    learn_base: bool,
    batch_shape: Sequence[int],
    seed: int | None,
    **settings: Any,
) -> Flow:
    """Layers of one kind over a normal, run from data to noise or the other way.

    Example:
        >>> from anabranch.models import radial
        >>> radial(2, n_layers=3).base
        Normal((2,))
    """
    settings |= {"batch_shape": tuple(batch_shape), "generator": make_generator(seed)}
    layers = Compose(layer(features, **settings) for _ in range(n_layers))
    base = (
        DiagonalNormal(features, **settings)
        if learn_base
        else Normal(features, batch_shape=tuple(batch_shape))
    )
    return Flow(base, Inverse(layers) if inverse else layers)
