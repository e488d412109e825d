"""Neural autoregressive flow."""

from collections.abc import Sequence
from functools import partial

from anabranch.distributions import Flow, Normal
from anabranch.models.alternation import alternating_order
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.models.stacks import stack_layers
from anabranch.transforms import Autoregressive, DeepSigmoidal


@recipe
def naf(
    features: int,
    *,
    n_layers: int = 3,
    units: int = 8,
    hidden: Sequence[int] = (64, 64),
    activation: str = "silu",
    norm: str | None = None,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Autoregressive layers that move each feature by a small monotone network.

    .. math:: z_d = \operatorname{logit} \sum_k w_{dk}\, \sigma(a_{dk} x_d + b_{dk})

    with weights, slopes and offsets that depend on the features before d. The density takes one
    pass; a sample is searched numerically, feature by feature.

    Source: Huang, Krueger, Lacoste, Courville (2018), "Neural autoregressive flows",
    arXiv:1804.00779, deep sigmoidal flow.

    Args:
        features: D. With D = 1 a layer is one monotone network (told by the context, if any).
        n_layers: layers, in natural and reversed order in turn.
        units: K, sigmoids of each monotone network.
        hidden: hidden sizes of each MADE.
        activation: of the MADEs.
        norm: "actnorm" or "batchnorm" after each layer, or None.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Example:
        >>> flow = naf(2, n_layers=1, hidden=[8], seed=0)
        >>> flow.sample(3).shape
        torch.Size([3, 2])
    """
    layer = partial(
        Autoregressive,
        DeepSigmoidal(units),
        features,
        hidden=hidden,
        context_features=context_features,
        activation=activation,
        batch_shape=tuple(batch_shape),
        generator=make_generator(seed),
    )
    layers = [layer(ordering=alternating_order(features, i)) for i in range(n_layers)]
    return Flow(Normal(features, batch_shape=tuple(batch_shape)), stack_layers(layers, norm))
