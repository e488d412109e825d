"""Residual flow."""

from collections.abc import Sequence

from anabranch.distributions import Flow, Normal
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.models.stacks import stack_layers
from anabranch.transforms import Residual


@recipe
def residual_flow(
    features: int,
    *,
    n_layers: int = 6,
    hidden: Sequence[int] = (64, 64),
    limit: float = 0.95,
    log_det: str = "exact",
    norm: str | None = "actnorm",
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Layers that add what a network says which cannot fold the space.

    .. math:: z = x + g(x), \qquad |g(x) - g(y)| \le L |x - y|, \quad L < 1

    No feature waits for others and none stays; a sample is found by repetition.

    Source: Chen, Behrmann, Duvenaud, Jacobsen (2019), "Residual flows for invertible generative
    modeling", arXiv:1906.02735; Behrmann et al. (2019), arXiv:1811.00995.

    Args:
        features: D.
        n_layers: residual layers.
        hidden: hidden sizes of each network.
        limit: L of each layer.
        log_det: "exact", for some ten columns, or "roulette", an unbiased estimate for many.
        norm: "actnorm" or "batchnorm" after each layer, or None.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Example:
        >>> flow = residual_flow(2, n_layers=2, hidden=[8], seed=0)
        >>> flow.sample(3).shape
        torch.Size([3, 2])
    """
    batch_shape, generator = tuple(batch_shape), make_generator(seed)
    layers = [
        Residual(
            features,
            hidden=hidden,
            limit=limit,
            log_det=log_det,
            context_features=context_features,
            batch_shape=batch_shape,
            generator=generator,
        )
        for _ in range(n_layers)
    ]
    return Flow(Normal(features, batch_shape=batch_shape), stack_layers(layers, norm))
