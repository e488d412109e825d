"""Simple densities on products of spaces, and the recipes of flows that bend their blocks."""

from collections.abc import Sequence
from typing import Any

from torch import Generator

from anabranch.distributions import Chain, Distribution, VonMises, VonMisesFisher
from anabranch.distributions.chain import embedded_size
from anabranch.functional.shapes import Shape
from anabranch.models.densities.flow_density import flow_density
from anabranch.models.generators import make_generator
from anabranch.models.manifolds.product_flow import USUAL
from anabranch.models.specs import Spec, split_spec

# Concentrations from next to none to those of a kilometre on the earth.
RANGE: dict[str, Any] = {"concentration": 30.0, "bound": 14.0}


def product_specs(flow: Spec) -> dict[str, Spec]:
    """The recipe of each kind of block, from that of reals or those of a `product_flow`.

    Raises:
        TypeError: for a keyword of a `product_flow` that is no kind of block.

    Example:
        >>> specs = product_specs("nsf")
        >>> specs["real"], specs["sphere"]["name"]
        ('nsf', 'sphere_flow')
    """
    name, settings = split_spec("flow", flow)
    if name != "product_flow":
        return {**USUAL, "real": flow}
    unknown = sorted(set(settings) - set(USUAL))
    if unknown:
        raise TypeError(f"flow 'product_flow' has no keyword {unknown}; it has {sorted(USUAL)}")
    return USUAL | {kind: spec for kind, spec in settings.items() if spec is not None}


def simple_product(
    kinds: Sequence[tuple[str, int]],
    context_features: int,
    stack: Shape,
    *,
    diagonal: bool,
    seed: int | None,
) -> Chain:
    """Independent blocks; given a context, reals are regressed on it and on what is before them.

    Args:
        kinds: of the blocks, and their sizes.
        context_features: size of the context.
        stack: the component axis.
        diagonal: leave the off-diagonal part of the affine map of reals out.
        seed: of the initial weights.
    """
    factors: list[Distribution] = []
    generator = make_generator(seed)
    before = context_features
    for number, (kind, size) in enumerate(kinds):
        if kind == "real":
            own = None if seed is None else seed + number
            given = before if context_features else 0
            how: dict[str, Any] = {"context_features": given, "batch_shape": stack, "seed": own}
            factors.append(flow_density(size, flow=None, diagonal=diagonal, **how))
        else:
            factors.append(around(kind, size, stack, generator))
        before += embedded_size(factors[-1].domain, size)
    return Chain(factors, context_features=context_features)


def around(kind: str, size: int, stack: Shape, generator: Generator | None) -> Distribution:
    """Angles or a place around a direction."""
    if kind == "circle":
        return VonMises(size, batch_shape=stack, generator=generator, **RANGE)
    return VonMisesFisher(size, batch_shape=stack, generator=generator, **RANGE)
