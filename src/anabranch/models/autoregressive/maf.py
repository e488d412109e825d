"""Masked autoregressive flow."""

from collections.abc import Sequence

from anabranch.distributions import Flow, Normal
from anabranch.models.norms import norm_layer
from anabranch.models.registry import recipe
from anabranch.models.seeds import seeded
from anabranch.transforms import Affine, Autoregressive, Compose, Transform


@recipe
def maf(
    features: int,
    *,
    n_layers: int = 5,
    hidden: Sequence[int] = (64,),
    activation: str = "silu",
    bound: float = 1.0,
    norm: str | None = None,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Affine autoregressive layers with natural and reversed order in turn.

    .. math:: z_d = x_d\, e^{s_d(x_{<d})} + t_d(x_{<d})

    The density takes one pass, a sample at most D passes a layer.

    Source: Papamakarios, Pavlakou, Murray (2017), "Masked autoregressive flow for density
    estimation", arXiv:1705.07057.

    Args:
        features: D. With D = 1 a layer is an affine map (of the context, if there is one).
        n_layers: MADE layers.
        hidden: hidden sizes of each MADE.
        activation: of the MADEs.
        bound: limit of the log-scale of one layer.
        norm: "actnorm" or "batchnorm" after each layer, or None.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Example:
        >>> flow = maf(3, n_layers=2, hidden=[16], seed=0)
        >>> flow.sample(4).shape
        torch.Size([4, 3])
    """
    batch_shape, generator = tuple(batch_shape), seeded(seed)
    natural = list(range(features))
    layers: list[Transform] = []
    for i in range(n_layers):
        layer = Autoregressive(
            Affine(bound),
            features,
            hidden=hidden,
            ordering=natural if i % 2 == 0 else natural[::-1],
            context_features=context_features,
            activation=activation,
            batch_shape=batch_shape,
            generator=generator,
        )
        layers += [layer, *norm_layer(norm, features, batch_shape)]
    return Flow(Normal(features, batch_shape=batch_shape), Compose(layers))
