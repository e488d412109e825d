"""Masked autoencoder for distribution estimation."""

from collections.abc import Sequence

import torch

from anabranch.distributions import AutoregressiveModel, OrderlessModel
from anabranch.distributions.heads import make_head
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.networks import MADE, OrderlessMADE


@recipe
def made(
    features: int,
    *,
    head: str = "bernoulli",
    components: int = 10,
    hidden: Sequence[int] = (256,),
    n_orderings: int = 1,
    fresh: bool = False,
    direct: bool = False,
    activation: str = "relu",
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> AutoregressiveModel | OrderlessModel:
    r"""A masked network gives each feature's distribution from the features before it.

    .. math:: p(x) = \prod_d h(x_d; \theta_d(x_{<d}))

    With several orderings one set of weights serves all, and their probabilities are averaged.

    Source: Germain, Gregor, Murray, Larochelle (2015), "MADE: masked autoencoder for distribution
    estimation", arXiv:1502.03509.

    Args:
        features: D.
        head: "bernoulli" for bits; "gaussians" or "laplacians", mixtures, for real numbers.
        components: of the mixtures.
        hidden: hidden sizes.
        n_orderings: R, always the same.
        fresh: train for all orderings there are instead of these R; better where rows are few.
        direct: add a linear path from each feature to the parameters of those after it.
        activation: of the network.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights, and of the orderings in training.

    Raises:
        ValueError: for an unknown head, or fewer than one ordering.

    Example:
        >>> model = made(3, hidden=[16], n_orderings=4, seed=0)
        >>> model.sample(5).shape
        torch.Size([5, 3])
    """
    if n_orderings < 1:
        raise ValueError(f"n_orderings must be at least 1, got {n_orderings}")
    distribution, generator = make_head(head, components), make_generator(seed)
    common = {"context_features": context_features, "batch_shape": tuple(batch_shape)}
    options = {"direct": direct, "activation": activation, "generator": generator, **common}
    n_params = distribution.n_params
    if n_orderings == 1:
        network = MADE(features, n_params, hidden, **options)
        return AutoregressiveModel(network, distribution, features, **common)
    network = OrderlessMADE(
        features, n_params, _orderings(features, n_orderings), hidden, **options
    )
    return OrderlessModel(network, distribution, features, fresh=fresh, **common)


def _orderings(features: int, n_orderings: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    others = [torch.randperm(features, generator=generator) for _ in range(n_orderings - 1)]
    return torch.stack([torch.arange(features), *others])
