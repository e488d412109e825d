"""Flows on products of spaces behind the simple density that they start from."""

from collections.abc import Sequence
from typing import Any

from anabranch.distributions import Chain, Distribution, Flow, Hedged, VonMises, VonMisesFisher
from anabranch.distributions.chain import embedded_size
from anabranch.functional.shapes import Shape
from anabranch.models.densities.flow_density import flow_density
from anabranch.models.inner_densities import build_inner_density
from anabranch.models.manifolds.product_flow import USUAL, check_blocks
from anabranch.models.registry import recipe
from anabranch.models.specs import Spec, split_spec

# Concentrations from next to none to those of a kilometre on the earth.
RANGE: dict[str, Any] = {"concentration": 30.0, "bound": 14.0}


@recipe
def product_density(
    features: int,
    *,
    blocks: Sequence[tuple[str, int]],
    flow: Spec | None = "maf",
    diagonal: bool = False,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    hedge: bool = False,
    seed: int | None = None,
) -> Chain | Hedged:
    r"""Angles around directions, places around places and a Gaussian, bent by flows in turn.

    .. math:: p(x \mid c) = \prod_b p_b(x_b \mid e(x_1), \dots, e(x_{b-1}), c), \qquad
        p_b = \mathrm{vM},\ \mathrm{vMF} \text{ or } \mathcal N \text{ at first}

    What `flow_density` is for numbers: its bases are set to a simple density before training, in
    which the blocks are independent (given a context, reals are regressed on it and on the blocks
    before them), and its flows start at the identity. Hedged, it is mixed with
    such a density that stays as it is set.

    Args:
        features: numbers of all blocks together.
        blocks: kind and size of each, in turn, as of `product_flow`; spheres have up to 4 numbers.
        flow: recipe of blocks of reals; or {"name": "product_flow", ...} with recipes of each
            kind; None for the simple density alone.
        diagonal: leave the off-diagonal part of the affine map of reals out.
        context_features: size of the context c; 0 for none.
        batch_shape: the component axis.
        hedge: whether flows are hedged with a simple density.
        seed: of the initial weights.

    Raises:
        ValueError: for an unknown flow, or blocks that cannot be.
        TypeError: for a keyword that a recipe does not have.

    Example:
        >>> blocks = [["circle", 1], ["sphere", 3], ["real", 1]]
        >>> product_density(5, blocks=blocks, seed=0).sizes
        (1, 3, 1)
    """
    kinds, stack = check_blocks(blocks, features), tuple(batch_shape)
    simple = _simple_chain(kinds, diagonal, context_features, stack)
    if flow is None:
        return simple
    specs = product_specs(flow)
    factors: list[Distribution] = []
    before = context_features
    for number, (kind, size) in enumerate(kinds):
        own = None if seed is None else seed + number
        if kind == "real":
            settings: dict[str, Any] = {"context_features": before, "batch_shape": stack}
            made = flow_density(size, flow=specs[kind], diagonal=diagonal, seed=own, **settings)
        else:
            made = build_inner_density(
                specs[kind], size, stack, own, role=kind, context_features=before
            )
            if not isinstance(made, Flow):
                raise ValueError(f"{kind} needs the recipe of a flow, got {specs[kind]!r}")
            made = Flow(_around(kind, size, stack), made.transform)
        factors.append(made)
        before += embedded_size(made.domain, size)
    bent = Chain(factors, context_features=context_features)
    return Hedged(bent, simple, trainable_share=True) if hedge else bent


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


def _simple_chain(
    kinds: list[tuple[str, int]], diagonal: bool, context_features: int, stack: Shape
) -> Chain:
    """Independent blocks; given a context, reals are regressed on it and on what is before them."""
    factors: list[Distribution] = []
    before = context_features
    for kind, size in kinds:
        given = before if context_features else 0
        factors.append(
            flow_density(
                size, flow=None, diagonal=diagonal, context_features=given, batch_shape=stack
            )
            if kind == "real"
            else _around(kind, size, stack)
        )
        before += embedded_size(factors[-1].domain, size)
    return Chain(factors, context_features=context_features)


def _around(kind: str, size: int, stack: Shape) -> Distribution:
    if kind == "circle":
        return VonMises(size, batch_shape=stack, **RANGE)
    return VonMisesFisher(size, batch_shape=stack, **RANGE)
