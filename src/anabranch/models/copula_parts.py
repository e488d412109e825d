"""What copula flows are made of: marginals by plain values, and copulas by their structure."""

from collections.abc import Mapping, Sequence
from typing import Any

from anabranch.contracts.marginals import Marginals
from anabranch.distributions import KernelDensity, TailedSpline
from anabranch.models.specs import Spec, parse_spec
from anabranch.transforms import (
    Affine,
    Autoregressive,
    CVine,
    DVine,
    Elementwise,
    NormalScores,
    RationalQuadratic,
    SinhArcsinh,
    Transform,
)

VINES: dict[str, type[CVine] | type[DVine]] = {"c": CVine, "d": DVine}
STRUCTURES = (*VINES, "triangular")
# Of prescribed tails: the share of rows that a law of the whole line is fitted to on each side.
FIT_SHARE = 0.5


def make_marginals(spec: Spec, features: int, batch_shape: Sequence[int] = ()) -> Marginals:
    """Marginals that rows set, "kernel" or "spline", or {"name": ..., keyword: value}.

    Raises:
        ValueError: for another name, or settings that cannot be.
        TypeError: for an unknown keyword.

    Example:
        >>> make_marginals({"name": "kernel", "kernels": 32}, 2)
        KernelDensity((2,), kernels=32)
    """
    name, keywords = parse_spec("marginals", spec, MARGINALS)
    return MARGINALS[name](features, **keywords, batch_shape=tuple(batch_shape))


def marginal_layers(
    features: int, tails: Spec | None, *, bins: int, bound: float, common: Mapping[str, Any]
) -> list[Transform]:
    """Maps of each column that are learned; or, where tails are prescribed, set by rows."""
    if tails is None:
        maps = (Affine(), SinhArcsinh(), RationalQuadratic(bins, bound, ends="free"))
        return [Elementwise(scalar, features, **common) for scalar in maps]
    pareto = (tails if isinstance(tails, str) else tails.get("name")) == "pareto"
    fit_share = None if pareto else FIT_SHARE
    spline = {"name": "spline", "lower": tails, "upper": tails, "fit_share": fit_share}
    return [NormalScores(make_marginals(spline, features, common["batch_shape"]))]


def copula_layer(
    structure: str,
    features: int,
    pairs: Mapping[str, Any],
    spline: RationalQuadratic,
    common: Mapping[str, Any],
) -> Transform:
    """A vine of pairs, or a triangular map of splines."""
    if structure == "triangular":
        return Autoregressive(spline, features, **common)
    return VINES[structure](features, **pairs, **common)


def _kernel(features: int, *, kernels: int = 128, width: float = 1.0, **batch: Any) -> Marginals:
    return KernelDensity(features, kernels=kernels, width=width, **batch)


def _spline(
    features: int,
    *,
    lower: Spec = "gaussian",
    upper: Spec = "gaussian",
    tail_share: float = 0.05,
    fit_share: float | None = None,
    bins: int = 16,
    **batch: Any,
) -> Marginals:
    shares: dict[str, Any] = {"tail_share": tail_share, "fit_share": fit_share}
    return TailedSpline(features, lower=lower, upper=upper, bins=bins, **shares, **batch)


MARGINALS = {"kernel": _kernel, "spline": _spline}
