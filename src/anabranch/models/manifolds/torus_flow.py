"""Flows on tori."""

from collections.abc import Callable, Sequence
from typing import Any

from anabranch.contracts.domain import CIRCLE
from anabranch.distributions import Flow, Uniform
from anabranch.models.alternation import alternating_order
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.models.stacks import stack_layers
from anabranch.transforms import (
    Autoregressive,
    CircleMap,
    CircularSpline,
    Coupling,
    Half,
    Inverse,
    Moebius,
    NonCompactProjection,
    Transform,
)

STRUCTURES = ("autoregressive", "coupling")
MAPS: dict[str, Callable[[int], CircleMap]] = {
    "spline": CircularSpline,
    "moebius": Moebius,
    "projection": NonCompactProjection,
}


@recipe
def torus_flow(
    features: int,
    *,
    circle_map: str = "spline",
    size: int = 8,
    structure: str = "autoregressive",
    n_layers: int = 2,
    inverse: bool = False,
    hidden: Sequence[int] = (64, 64),
    activation: str = "relu",
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Layers that turn each angle by a map of the circle that the others choose.

    .. math:: \theta_d' = f(\theta_d; \psi(\theta_{<d})), \qquad \theta' \sim U[0, 2\pi)^D

    Angles are in radians from 0 to 2 pi. Densities are continuous where the circles are cut open.

    Source: Rezende et al. (2020), "Normalizing flows on tori and spheres", arXiv:2002.02428.

    Args:
        features: D, angles.
        circle_map: "spline", "moebius" or "projection".
        size: bins of a spline, or components of the others.
        structure: "autoregressive", in natural and reversed order in turn, or "coupling".
        n_layers: layers.
        inverse: whether an autoregressive layer draws in one pass instead of evaluating in one:
            for reverse KL.
        hidden: hidden sizes of each network.
        activation: of the networks.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: for an unknown structure or map.

    Example:
        >>> flow = torus_flow(2, n_layers=1, hidden=[8], seed=0)
        >>> flow.sample(3).shape
        torch.Size([3, 2])
    """
    if structure not in STRUCTURES:
        raise ValueError(f"structure must be one of {STRUCTURES}, got {structure!r}")
    common: dict[str, Any] = {
        "hidden": hidden,
        "context_features": context_features,
        "activation": activation,
        "batch_shape": tuple(batch_shape),
        "generator": make_generator(seed),
    }
    angles = make_map(circle_map, size)

    def layer(i: int) -> Transform:
        if structure == "coupling":
            made: Transform = Coupling(angles, features, split=Half(features, i), **common)
        else:
            order = alternating_order(features, i)
            made = Autoregressive(angles, features, ordering=order, **common)
        return Inverse(made) if inverse else made

    base = Uniform(features, CIRCLE, batch_shape=tuple(batch_shape))
    return Flow(base, stack_layers([layer(i) for i in range(n_layers)]))


def make_map(name: str, size: int) -> CircleMap:
    """The map of that name, with so many bins or components.

    Raises:
        ValueError: for another name; lists the known ones.

    Example:
        >>> make_map("moebius", 3)
        Moebius(components=3, bound=0.99)
    """
    if name not in MAPS:
        raise ValueError(f"circle_map must be one of {sorted(MAPS)}, got {name!r}")
    return MAPS[name](size)
