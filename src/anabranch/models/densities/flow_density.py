"""One flow behind the Gaussian that it starts from."""

from collections.abc import Sequence

from anabranch.distributions import Distribution, Flow, Normal
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
    seed: int | None = None,
) -> Flow:
    r"""A linear Gaussian regression, bent by any flow.

    .. math:: z = f\bigl(L^{-1} (x - W c - m); c\bigr)

    The regression on the context c and the affine map are set to a fitted Gaussian before training
    (``set_gaussian`` of the map, the weights of the regression), and the flow f starts at the
    identity: the untrained model is that Gaussian.

    Args:
        features: D.
        flow: recipe of f or of any other continuous density, by name or as {"name": ...,
            keyword: value}; None for the Gaussian alone.
        diagonal: leave the off-diagonal part of the affine map out.
        context_features: size of the context c; 0 for none.
        batch_shape: the component axis.
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
    steps: list[Transform] = []
    if context_features:
        regression = Elementwise(
            Additive(),
            features,
            context_features=context_features,
            hidden=(),
            batch_shape=batch_shape,
        )
        steps.append(regression)
    steps.append(TriangularAffine(features, diagonal=diagonal, batch_shape=batch_shape))
    core: Distribution = Normal(features, batch_shape=batch_shape)
    if flow is not None:
        core = build_inner_density(
            flow, features, batch_shape, seed, role="flow", context_features=context_features
        )
    if isinstance(core, Flow):
        return Flow(core.base, Compose([*steps, core.transform]))
    return Flow(core, Compose(steps))
