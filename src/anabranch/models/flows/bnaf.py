"""Block neural autoregressive flow."""

from collections.abc import Sequence

from anabranch.distributions import DiagonalNormal, Flow
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.transforms import BlockAutoregressive, Compose, Inverse, Reverse, Transform


@recipe
def bnaf(
    features: int,
    *,
    n_layers: int = 1,
    hidden: Sequence[int] = (50, 50),
    inverse: bool = False,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Networks whose output d rises with feature d and sees no later one.

    .. math:: z_d = a_d f_d(x_{\le d}) + (1 - a_d)\, x_d

    Only one direction is one pass; the other is solved numerically, feature by feature. The base
    is a normal with free means and scales.

    Source: De Cao, Titov, Aziz (2019), "Block neural autoregressive flow", arXiv:1904.04676.

    Args:
        features: D.
        n_layers: networks, with the order of the features reversed between them.
        hidden: hidden units of each feature.
        inverse: False for fast densities (data are mapped by f), True for fast draws (noise is
            mapped by f), as variational inference needs them.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Example:
        >>> flow = bnaf(2, hidden=[8], seed=0)
        >>> flow.sample(3).shape
        torch.Size([3, 2])
    """
    batch_shape, generator = tuple(batch_shape), make_generator(seed)
    layers: list[Transform] = []
    for i in range(n_layers):
        layer = BlockAutoregressive(
            features,
            hidden=hidden,
            context_features=context_features,
            batch_shape=batch_shape,
            generator=generator,
        )
        layers += [Reverse(features), layer] if i else [layer]
    transform = Compose(layers)
    base = DiagonalNormal(features, batch_shape=batch_shape)
    return Flow(base, Inverse(transform) if inverse else transform)
