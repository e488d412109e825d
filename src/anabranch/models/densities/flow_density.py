"""One flow behind the Gaussian that it starts from."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from anabranch.distributions import Flow, Hedged, Normal
from anabranch.functional.shapes import Shape
from anabranch.models.generators import make_generator
from anabranch.models.inner_densities import build_inner_density
from anabranch.models.registry import recipe
from anabranch.models.specs import Spec
from anabranch.transforms import Additive, Compose, Elementwise, Transform, TriangularAffine


@recipe
def flow_density(
    features: int,
    *,
    flow: Spec | None = "nsf",
    diagonal: bool = False,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    hedge: bool = False,
    seed: int | None = None,
) -> Flow | Hedged:
    r"""A linear Gaussian regression, bent by any flow.

    .. math:: z = f\bigl(L^{-1} (x - W c - m); c\bigr)

    The regression on the context c and the affine map are set to a fitted Gaussian before training
    (``set_gaussian`` of the map, the weights of the regression), and the flow f starts at the
    identity: the untrained model is that Gaussian. Hedged, it is mixed with such a regression that
    stays as it is set, see `anabranch.distributions.Hedged`.

    Args:
        features: D.
        flow: recipe of f or of any other continuous density, by name or as {"name": ...,
            keyword: value}; None for the Gaussian alone.
        diagonal: leave the off-diagonal part of the affine map out.
        context_features: size of the context c; 0 for none.
        batch_shape: the component axis.
        hedge: whether a flow is hedged with a Gaussian.
        seed: of the initial weights.

    Raises:
        ValueError: for an unknown flow, or one that is no density of D columns.
        TypeError: for a keyword that the flow's recipe does not have.

    Example:
        >>> flow = flow_density(2, flow={"name": "maf", "n_layers": 2}, seed=0)
        >>> flow.sample(4).shape
        torch.Size([4, 2])
    """
    batch_shape = tuple(batch_shape)
    regression = partial(_regression, features, diagonal, context_features, batch_shape)
    gaussian = Flow(Normal(features, batch_shape=batch_shape), Compose(regression()))
    if flow is None:
        return gaussian
    core = build_inner_density(
        flow, features, batch_shape, seed, role="flow", context_features=context_features
    )
    steps = regression()
    if isinstance(core, Flow):
        core, steps = core.base, [*steps, core.transform]
    bent = Flow(core, Compose(steps))
    return Hedged(bent, gaussian, trainable_share=True) if hedge else bent


def _regression(
    features: int, diagonal: bool, context_features: int, batch_shape: Shape
) -> list[Transform]:
    affine = TriangularAffine(features, diagonal=diagonal, batch_shape=batch_shape)
    if not context_features:
        return [affine]
    # zero at first, whatever is drawn: so not from torch's own source
    how: dict[str, Any] = {"hidden": (), "generator": make_generator(0), "batch_shape": batch_shape}
    return [Elementwise(Additive(), features, context_features=context_features, **how), affine]
