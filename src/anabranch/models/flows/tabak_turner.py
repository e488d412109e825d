"""The flow of Tabak and Turner."""

from collections.abc import Sequence

from anabranch.distributions import Flow, Normal
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.transforms import (
    Compose,
    Elementwise,
    LocalExpansion,
    Radial,
    Rotation,
    Transform,
    TriangularAffine,
)


@recipe
def tabak_turner(
    features: int,
    *,
    n_steps: int = 500,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Whitening, then small maps that make the data more normal, one after another.

    Steps are local: in turn a radial expansion around a centre, and after a random rotation an
    expansion of each coordinate around a point of its own,

    .. math:: f(x) = x + \beta\, \frac{x - c}{\alpha + \|x - c\|}

    It starts as the identity up to rotation. `anabranch.algorithms.greedy_ascent` sets one step
    after another, without gradients through the composition; gradients may then train it further.

    Source: Tabak, Turner (2013), "A family of nonparametric density estimation algorithms",
    doi:10.1002/cpa.21423.

    Args:
        features: D.
        n_steps: steps.
        batch_shape: the component axis.
        seed: of the rotations, and of the centres before they are set.

    Example:
        >>> flow = tabak_turner(2, n_steps=4, seed=0)
        >>> [type(t).__name__ for t in flow.transform.transforms[1:]]
        ['Rotation', 'Elementwise', 'Radial', 'Rotation', 'Elementwise', 'Radial']
    """
    batch_shape, generator = tuple(batch_shape), make_generator(seed)
    layers: list[Transform] = [TriangularAffine(features, batch_shape=batch_shape)]
    for i in range(n_steps):
        if i % 2:
            layers.append(Radial(features, batch_shape=batch_shape, generator=generator))
        else:
            layers.append(Rotation(features, batch_shape=batch_shape, generator=generator))
            layers.append(Elementwise(LocalExpansion(), features, batch_shape=batch_shape))
    return Flow(Normal(features, batch_shape=batch_shape), Compose(layers))
