"""Marginals and a vine that rows choose."""

from collections.abc import Sequence
from typing import Any

from anabranch.distributions import Flow, Normal
from anabranch.models.copula_parts import make_marginals
from anabranch.models.registry import recipe
from anabranch.models.specs import Spec
from anabranch.transforms import Compose, NormalScores, RVine, Transform


@recipe
def vine(
    features: int,
    *,
    marginals: Spec = "kernel",
    families: str | Sequence[str] = "parametric",
    trees: int | None = None,
    criterion: str = "aic",
    max_rows: int | None = None,
    batch_shape: Sequence[int] = (),
) -> Flow:
    r"""A density of each column alone, and a regular vine: set by rows at once.

    .. math:: p(x) = c\bigl(F_1(x_1), \dots, F_D(x_D)\bigr) \prod_d p_d(x_d)

    Marginals are kernel densities or splines with prescribed tails; trees, families and parameters
    of the vine are chosen by `pyvinecopulib`. Nothing is learned by gradients: `FlowDensity` fits
    it in one go, `FlowMixture` by EM, and `anabranch.procedures.fit_rows` anywhere else. Before
    that it is a standard normal. The families are those of `anabranch.transforms.RVine`.

    Source: Aas, Czado, Frigessi, Bakken (2009), "Pair-copula constructions of multiple
    dependence"; Dissmann et al. (2013), arXiv:1202.2002.

    Args:
        features: D. With one column there is no vine.
        marginals: "kernel" for `KernelDensity`, "spline" for `TailedSpline`, or {"name": ...,
            keyword: value} with their keywords.
        families: "parametric", "all", "simple", "kernel", "gaussian", or a list of names.
        trees: how many trees at most; None for all.
        criterion: by which families are chosen.
        max_rows: choose the vine on at most as many rows.
        batch_shape: the component axis.

    Raises:
        ValueError: for unknown marginals, families or criteria, or a number of trees that cannot
            be.

    Example:
        >>> flow = vine(3, marginals={"name": "spline", "upper": "pareto"}, families="simple")
        >>> flow.sample(4).shape
        torch.Size([4, 3])
    """
    known: dict[str, Any] = {"batch_shape": tuple(batch_shape)}
    layers: list[Transform] = [NormalScores(make_marginals(marginals, features, batch_shape))]
    if features > 1:
        chosen: dict[str, Any] = {"families": families, "trees": trees, "criterion": criterion}
        layers.append(RVine(features, **chosen, max_rows=max_rows, **known))
    return Flow(Normal(features, **known), Compose(layers))
