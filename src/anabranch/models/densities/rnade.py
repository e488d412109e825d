"""Real-valued neural autoregressive density estimator."""

from collections.abc import Sequence

from anabranch.distributions import AutoregressiveModel
from anabranch.distributions.heads import make_head
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.networks import NADE


@recipe
def rnade(
    features: int,
    *,
    head: str = "gaussians",
    components: int = 10,
    hidden: int = 64,
    ordering: Sequence[int] | None = None,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> AutoregressiveModel:
    r"""Each feature's mixture from one hidden layer, whose weights all features share.

    .. math:: p(x_d \mid x_{<d}) = \sum_k \pi_k\, h(x_d; \mu_k, s_k), \qquad
        (\pi, \mu, s)_d = V_d\, \mathrm{relu}(\rho_d (c + W_{:,<d}\, x_{<d})) + b_d

    It starts near the standard normal: the features should be standardised.

    Source: Uria, Murray, Larochelle (2013), "RNADE: the real-valued neural autoregressive
    density-estimator", arXiv:1306.0186.

    Args:
        features: D.
        head: "gaussians" or "laplacians".
        components: of the mixtures.
        hidden: hidden units.
        ordering: places of the features, a permutation of 0..D-1; natural order by default.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: for another head.

    Example:
        >>> model = rnade(3, hidden=16, seed=0)
        >>> model.sample(5).shape
        torch.Size([5, 3])
    """
    if head not in ("gaussians", "laplacians"):
        raise ValueError(f"head must be 'gaussians' or 'laplacians', got {head!r}")
    distribution, batch_shape = make_head(head, components), tuple(batch_shape)
    network = NADE(
        features,
        distribution.n_params,
        hidden,
        context_features=context_features,
        ordering=ordering,
        activation="relu",
        batch_shape=batch_shape,
        generator=make_generator(seed),
    )
    return AutoregressiveModel(
        network, distribution, features, context_features=context_features, batch_shape=batch_shape
    )
