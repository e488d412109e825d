"""Neural autoregressive distribution estimator, for bits."""

from collections.abc import Sequence

from anabranch.distributions import AutoregressiveModel, Bernoulli
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.networks import NADE


@recipe
def nade(
    features: int,
    *,
    hidden: int = 256,
    ordering: Sequence[int] | None = None,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> AutoregressiveModel:
    r"""Each bit's probability from one hidden layer, whose weights all bits share.

    .. math:: p(x_d = 1 \mid x_{<d}) = \mathrm{sigm}(v_d^\top h_d + b_d), \qquad
        h_d = \mathrm{sigm}(c + W_{:,<d}\, x_{<d})

    Source: Larochelle, Murray (2011), "The neural autoregressive distribution estimator".

    Args:
        features: D.
        hidden: hidden units.
        ordering: places of the features, a permutation of 0..D-1; natural order by default.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Example:
        >>> model = nade(3, hidden=16, seed=0)
        >>> model.sample(5).shape
        torch.Size([5, 3])
    """
    batch_shape = tuple(batch_shape)
    network = NADE(
        features,
        1,
        hidden,
        context_features=context_features,
        ordering=ordering,
        batch_shape=batch_shape,
        generator=make_generator(seed),
    )
    return AutoregressiveModel(
        network, Bernoulli(), features, context_features=context_features, batch_shape=batch_shape
    )
