"""NICE: additive couplings and one scale."""

from collections.abc import Sequence
from functools import partial

from anabranch.distributions import Flow, Logistic, Normal
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.models.sizes import coupling_hidden
from anabranch.models.stacks import stack_layers
from anabranch.transforms import Additive, Compose, Coupling, Elementwise, EveryOther, Scale

BASES: dict[str, type[Logistic] | type[Normal]] = {"logistic": Logistic, "normal": Normal}


@recipe
def nice(
    features: int,
    *,
    n_layers: int = 4,
    hidden: Sequence[int] | None = None,
    activation: str = "relu",
    base: str = "logistic",
    bound: float = 5.0,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Additive couplings, which keep volumes, of features of even and odd numbers in turn.

    .. math:: h_B = x_B + m(x_A), \qquad z_d = e^{s_d} h_d, \qquad
        \log p(x) = \log p(z) + \sum_d s_d

    The larger the scale of a dimension, the less the data vary along it: the inverse scales are
    the flow's counterpart of the spectrum of a principal component analysis.

    Source: Dinh, Krueger, Bengio (2014), "NICE: non-linear independent components estimation",
    arXiv:1410.8516.

    Args:
        features: D. With D = 1 the couplings are shifts (by the context, if there is one).
        n_layers: couplings; three mix all dimensions.
        hidden: hidden sizes of each network; by default one layer of 4 D units, 32 to 64.
        activation: of the networks.
        base: "logistic" or "normal".
        bound: limit of the log-scales s.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: for an unknown base.

    Example:
        >>> flow = nice(2, hidden=[8], seed=0)
        >>> flow.sample(3).shape
        torch.Size([3, 2])
    """
    if base not in BASES:
        raise ValueError(f"base must be one of {sorted(BASES)}, got {base!r}")
    batch_shape = tuple(batch_shape)
    layer = partial(
        Coupling,
        Additive(),
        features,
        hidden=hidden if hidden is not None else coupling_hidden(features),
        context_features=context_features,
        activation=activation,
        batch_shape=batch_shape,
        generator=make_generator(seed),
    )
    couplings = [layer(split=EveryOther(features, i)) for i in range(n_layers)]
    scale = Elementwise(Scale(bound), features, batch_shape=batch_shape)
    transform = Compose([*stack_layers(couplings).transforms, scale])
    return Flow(BASES[base](features, batch_shape=batch_shape), transform)
