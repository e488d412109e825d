"""Real NVP for vectors."""

from collections.abc import Sequence
from functools import partial

from anabranch.distributions import Flow, Normal
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.models.sizes import coupling_hidden
from anabranch.models.stacks import stack_layers
from anabranch.transforms import Affine, Coupling, Half


@recipe
def realnvp(
    features: int,
    *,
    n_layers: int = 8,
    hidden: Sequence[int] | None = None,
    activation: str = "silu",
    bound: float = 1.0,
    law: str = "tanh",
    norm: str | None = None,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Affine couplings that move the two halves of the features in turn.

    .. math:: z_B = x_B\, e^{s(x_A)} + t(x_A), \qquad \log p(x) = \log \mathcal N(z) + \sum s

    Source: Dinh, Sohl-Dickstein, Bengio (2016), "Density estimation using Real NVP",
    arXiv:1605.08803; the vector form of Pires, Figueiredo (2020), arXiv:2009.00585.

    Args:
        features: D. With D = 1 a layer is an affine map (of the context, if there is one).
        n_layers: couplings.
        hidden: hidden sizes of each conditioner; by default one layer of 4 D units, 32 to 64.
        activation: of the conditioners.
        bound: limit of the log-scale of one layer.
        law: how it is bounded, "tanh", "softsign" or "atan".
        norm: "actnorm" or "batchnorm" after each coupling, or None.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Example:
        >>> flow = realnvp(2, n_layers=4, hidden=[8], seed=0)
        >>> flow.sample(3).shape
        torch.Size([3, 2])
    """
    layer = partial(
        Coupling,
        Affine(bound, law),
        features,
        hidden=hidden if hidden is not None else coupling_hidden(features),
        context_features=context_features,
        activation=activation,
        batch_shape=tuple(batch_shape),
        generator=make_generator(seed),
    )
    layers = [layer(split=Half(features, i)) for i in range(n_layers)]
    return Flow(Normal(features, batch_shape=tuple(batch_shape)), stack_layers(layers, norm))
