"""Neural spline flows."""

from collections.abc import Sequence
from typing import Any

from anabranch.distributions import Flow, Normal
from anabranch.models.alternation import alternating_order
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.models.stacks import stack_layers
from anabranch.transforms import Autoregressive, Coupling, Half, RationalQuadratic, Transform

STRUCTURES = ("autoregressive", "coupling")


@recipe
def nsf(
    features: int,
    *,
    structure: str = "autoregressive",
    n_layers: int = 5,
    bins: int = 8,
    bound: float = 5.0,
    ends: str = "linear",
    hidden: Sequence[int] = (64, 64),
    activation: str = "relu",
    norm: str | None = None,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Layers that move each feature by a spline that the others choose.

    .. math:: z_d = f(x_d; \theta_d), \quad f \text{ rational-quadratic on } [-B, B]

    Made for data of about unit scale: outside the box a spline is the identity, or a line.

    Source: Durkan, Bekasov, Murray, Papamakarios (2019), "Neural spline flows", arXiv:1906.04032.

    Args:
        features: D. With D = 1 a layer is one spline (chosen by the context, if there is one).
        structure: "autoregressive", in natural and reversed order in turn; or "coupling", where
            the halves move in turn and samples are as fast as densities.
        n_layers: layers.
        bins: of each spline.
        bound: B, half the side of the box.
        ends: "linear" for the identity outside the box, "free" for lines of free slopes.
        hidden: hidden sizes of each network.
        activation: of the networks.
        norm: "actnorm" or "batchnorm" after each layer, or None.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: for an unknown structure, or a spline that cannot be.

    Example:
        >>> flow = nsf(2, n_layers=2, hidden=[8], seed=0)
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
    spline = RationalQuadratic(bins, bound, ends)

    def layer(i: int) -> Transform:
        if structure == "coupling":
            return Coupling(spline, features, split=Half(features, i), **common)
        return Autoregressive(spline, features, ordering=alternating_order(features, i), **common)

    transform = stack_layers([layer(i) for i in range(n_layers)], norm)
    return Flow(Normal(features, batch_shape=tuple(batch_shape)), transform)
