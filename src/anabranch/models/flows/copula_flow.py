"""Copula flows: a map for each column, then a vine or a triangular map."""

from collections.abc import Sequence
from typing import Any

from anabranch.distributions import Flow, Normal
from anabranch.models.copula_parts import STRUCTURES, copula_layer, marginal_layers
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.models.specs import Spec
from anabranch.transforms import Compose, RationalQuadratic


@recipe
def copula_flow(
    features: int,
    *,
    structure: str = "c",
    families: str | Sequence[str] = "gaussian",
    trees: int | None = None,
    tails: Spec | None = None,
    bins: int = 8,
    bound: float = 4.0,
    hidden: Sequence[int] = (64,),
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Marginals and a copula, apart: each column's own map to normal scores, then a vine.

    .. math:: p(x) = c\bigl(F_1(x_1), \dots, F_D(x_D)\bigr) \prod_d p_d(x_d), \qquad
        F_d = \Phi \circ f_d

    Each :math:`f_d` is an affine map, a sinh-arcsinh, which draws in heavy tails, and a
    rational-quadratic spline; or, where tails are prescribed, a `TailedSpline` that rows set by
    `anabranch.procedures.fit_rows` before the copula is trained. Whatever the parameters are, a
    vine has uniform marginals, so that :math:`p_d` is the marginal of the flow; those of a
    triangular map are held there by the penalty of `anabranch.objectives.CopulaLikelihood`. For
    data of about unit scale.

    Source: Sklar (1959); Wiese, Knobloch, Korn (2019), "Copula & marginal flows", arXiv:1907.03361.

    Args:
        features: D. With one column there is no vine.
        structure: "c" for `CVine`, whose first columns others depend on; "d" for `DVine`;
            "triangular" for splines of each column given those before it, of any copula.
        families: of the pairs' copulas, one name or one for each tree, as in the vines.
        trees: of the vine; None for all.
        tails: law of the tails of all columns, as of `TailedSpline`, such as {"name": "student",
            "df": 3.0}; None for tails that are learned.
        bins: of each spline.
        bound: half the side of the box of the splines.
        hidden: hidden sizes of the MLPs that give the parameters, used with a context only.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: for an unknown structure, family or tail, or a number of trees that cannot be.

    Example:
        >>> flow = copula_flow(3, families="clayton", trees=1, seed=0)
        >>> flow.log_prob(flow.sample(5)).shape
        torch.Size([5])
    """
    if structure not in STRUCTURES:
        raise ValueError(f"structure must be one of {list(STRUCTURES)}, got {structure!r}")
    common: dict[str, Any] = {
        "hidden": hidden,
        "context_features": context_features,
        "batch_shape": tuple(batch_shape),
        "generator": make_generator(seed),
    }
    layers = marginal_layers(features, tails, bins=bins, bound=bound, common=common)
    if features > 1:
        pairs = {"families": families, "trees": trees}
        spline = RationalQuadratic(bins, bound)
        layers.append(copula_layer(structure, features, pairs, spline, common))
    return Flow(Normal(features, batch_shape=tuple(batch_shape)), Compose(layers))
