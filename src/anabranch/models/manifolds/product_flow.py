"""Flows on products of spaces: angles, places on spheres and reals in one density."""

from collections.abc import Sequence

from anabranch.contracts.domain import CIRCLE, REAL, Domain, Sphere
from anabranch.distributions import Chain, Distribution
from anabranch.distributions.chain import embedded_size
from anabranch.models.inner_densities import build_inner_density
from anabranch.models.registry import recipe
from anabranch.models.specs import Spec

SPACES: dict[str, Domain] = {"circle": CIRCLE, "sphere": Sphere(), "real": REAL}
# smooth in all arguments, so that the density is, where a circle is cut too
SMOOTH = {"hidden": [32, 32], "activation": "silu"}
USUAL: dict[str, Spec] = {
    "circle": {"name": "torus_flow", "circle_map": "moebius", "n_layers": 1, **SMOOTH},
    "sphere": {"name": "sphere_flow", "size": 8, "bins": 8, "n_layers": 2},
    "real": {"name": "maf", **SMOOTH},
}


@recipe
def product_flow(
    features: int,
    *,
    blocks: Sequence[tuple[str, int]],
    circle: Spec | None = None,
    sphere: Spec | None = None,
    real: Spec | None = None,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Chain:
    r"""A flow for each block of numbers, given the blocks before it: see `Chain`.

    .. math:: p(x_1, \dots, x_B \mid c) = \prod_b p_b(x_b \mid e(x_1), \dots, e(x_{b-1}), c)

    Two angles, a place on the earth and three reals are ``[["circle", 2], ["sphere", 3], ["real",
    3]]``: eight numbers, for a place is a unit vector. Angles are in radians from 0 to 2 pi. The
    density is continuous where circles are cut open, and with the usual settings so is its
    gradient.

    Source: Rezende et al. (2020), "Normalizing flows on tori and spheres", arXiv:2002.02428, for
    the blocks; Glüsenkamp (2023), arXiv:2008.05825, for products of them.

    Args:
        features: numbers of all blocks together.
        blocks: kind and size of each, in turn: "circle", "sphere" (numbers of its unit vectors)
            or "real".
        circle: recipe of blocks of angles, by name or as {"name": ..., keyword: value}; by
            default a `torus_flow` of Moebius maps.
        sphere: of blocks on a sphere; by default a `sphere_flow`.
        real: of blocks of reals; by default "maf".
        context_features: size of the context c; 0 for none.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: for an unknown kind, sizes that do not sum to ``features``, or a recipe of
            another space.

    Example:
        >>> blocks = [["circle", 2], ["sphere", 3], ["real", 3]]
        >>> flow = product_flow(8, blocks=blocks, context_features=1, seed=0)
        >>> flow.context_features, flow.domain.sizes
        (1, (2, 3, 3))
    """
    kinds = check_blocks(blocks, features)
    specs = {"circle": circle, "sphere": sphere, "real": real}
    factors: list[Distribution] = []
    before = context_features
    for number, (kind, size) in enumerate(kinds):
        spec, own = specs[kind] or USUAL[kind], None if seed is None else seed + number
        factor = build_inner_density(
            spec, size, tuple(batch_shape), own, role=kind, context_features=before
        )
        if factor.domain != SPACES[kind]:
            raise ValueError(
                f"{kind} needs a density of {SPACES[kind]}, got one of {factor.domain}"
            )
        factors.append(factor)
        before += embedded_size(factor.domain, size)
    return Chain(factors, context_features=context_features)


def check_blocks(blocks: Sequence[tuple[str, int]], features: int) -> list[tuple[str, int]]:
    """Kind and size of each block.

    Raises:
        ValueError: for an unknown kind, a size that cannot be, or another sum than ``features``.

    Example:
        >>> check_blocks([["circle", 1], ["sphere", 3]], 4)
        [('circle', 1), ('sphere', 3)]
    """
    checked = []
    for block in blocks:
        kind, size = block if isinstance(block, list | tuple) and len(block) == 2 else (block, 0)
        least = 2 if kind == "sphere" else 1
        if kind not in SPACES or not isinstance(size, int) or size < least:
            raise ValueError(
                f"blocks must be pairs of a kind in {sorted(SPACES)} and a size, a sphere's at "
                f"least 2, got {block!r}"
            )
        checked.append((kind, size))
    if sum(size for _, size in checked) != features or not checked:
        raise ValueError(f"sizes of blocks must sum to features={features}, got {checked}")
    return checked
