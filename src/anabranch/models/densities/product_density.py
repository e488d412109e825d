"""Flows on products of spaces behind the simple density that they start from."""

from collections.abc import Sequence
from typing import Any

from anabranch.distributions import Chain, Distribution, Flow, Hedged
from anabranch.distributions.chain import embedded_size
from anabranch.models.densities.flow_density import flow_density
from anabranch.models.densities.simple_products import around, product_specs, simple_product
from anabranch.models.generators import make_generator
from anabranch.models.inner_densities import build_inner_density
from anabranch.models.manifolds.product_flow import check_blocks
from anabranch.models.registry import recipe
from anabranch.models.specs import Spec


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
    before them), and flows start at the identity. Hedged, it is mixed with such a density.

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
    simple = simple_product(kinds, context_features, stack, diagonal=diagonal, seed=seed)
    if flow is None:
        return simple
    specs, generator = product_specs(flow), make_generator(seed)
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
            made = Flow(around(kind, size, stack, generator), made.transform)
        factors.append(made)
        before += embedded_size(made.domain, size)
    bent = Chain(factors, context_features=context_features)
    return Hedged(bent, simple, trainable_share=True) if hedge else bent
