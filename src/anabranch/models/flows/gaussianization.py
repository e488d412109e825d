"""Gaussianization flow."""

from collections.abc import Sequence

from anabranch.distributions import Flow, Normal
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.models.stacks import stack_layers
from anabranch.transforms import Elementwise, HouseholderProduct, MixtureLogisticCDF, Transform


@recipe
def gaussianization(
    features: int,
    *,
    n_layers: int = 6,
    components: int = 8,
    hidden: Sequence[int] = (64,),
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Turn the axes, then make each number normal by itself, again and again.

    .. math:: z_d = f_d\big((R x)_d\big), \qquad R^\top R = I

    with f the logit of a mixture of logistic distribution functions. No network at all, but where
    a context decides the mixtures.

    Source: Meng, Song, Song, Ermon (2020), "Gaussianization flows", arXiv:2003.01941; Chen,
    Gopinath (2000), "Gaussianization".

    Args:
        features: D.
        n_layers: rotations with a map of each number behind it.
        components: of each mixture.
        hidden: hidden sizes of the network of the context.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Example:
        >>> flow = gaussianization(2, n_layers=2, components=2, seed=0)
        >>> flow.sample(3).shape
        torch.Size([3, 2])
    """
    batch_shape, generator = tuple(batch_shape), make_generator(seed)
    layers: list[Transform] = []
    for _ in range(n_layers):
        layers.append(HouseholderProduct(features, batch_shape=batch_shape, generator=generator))
        layers.append(
            Elementwise(
                MixtureLogisticCDF(components=components),
                features,
                hidden=hidden,
                context_features=context_features,
                batch_shape=batch_shape,
                generator=generator,
            )
        )
    return Flow(Normal(features, batch_shape=batch_shape), stack_layers(layers))
