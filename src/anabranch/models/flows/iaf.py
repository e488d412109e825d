"""Inverse autoregressive flow."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from anabranch.distributions import DiagonalNormal, Flow, Normal
from anabranch.models.alternation import alternating_order
from anabranch.models.generators import make_generator
from anabranch.models.readers import reader_of
from anabranch.models.registry import recipe
from anabranch.models.specs import Spec
from anabranch.models.stacks import stack_layers
from anabranch.transforms import Affine, Autoregressive, GatedAffine, Inverse


@recipe
def iaf(
    features: int,
    *,
    n_layers: int = 4,
    hidden: Sequence[int] = (64,),
    activation: str = "silu",
    bound: float = 1.0,
    law: str = "tanh",
    gate: float | None = None,
    network: Spec = "made",
    norm: str | None = None,
    learn_base: bool = False,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Affine autoregressive layers, run so that samples are fast: a posterior in one pass.

    .. math:: x_d = z_d\, e^{s_d(z_{<d})} + t_d(z_{<d})

    A sample with its density takes one pass, the density of any other point up to D passes a layer.

    Source: Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling (2016), "Improving variational
    inference with inverse autoregressive flow", arXiv:1606.04934.

    Args:
        features: D. With D = 1 a layer is an affine map (of the context, if there is one).
        n_layers: layers, in natural and reversed order in turn.
        hidden: hidden sizes of each MADE.
        activation: of the MADEs.
        bound: limit of the log-scale of one layer.
        law: how it is bounded, "tanh", "softsign" or "atan".
        gate: instead, the paper's gates with this bias, one or two, :math:`x = g z + (1 - g) m`; no
            layer then ever enlarges a volume: let the base learn its scales.
        network: "made"; or "lstm" or "pixelcnn", of a {"width": 32} in place of hidden, activation.
        norm: "actnorm" or "batchnorm" after each layer, or None.
        learn_base: whether the base has a mean and scales of its own, linear in a context.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Example:
        >>> iaf(3, n_layers=2, hidden=[16], gate=1.0, seed=0).sample(4).shape
        torch.Size([4, 3])
    """
    stack, generator = tuple(batch_shape), make_generator(seed)
    shared: Any = {"batch_shape": stack, "generator": generator}
    shared["context_features"] = context_features
    layer = partial(
        Autoregressive,
        Affine(bound, law) if gate is None else GatedAffine(gate),
        features,
        hidden=hidden,
        activation=activation,
        conditioner=reader_of(network),
        **shared,
    )
    layers = [Inverse(layer(ordering=alternating_order(features, i))) for i in range(n_layers)]
    base = Normal(features, batch_shape=stack)
    if learn_base:
        base = DiagonalNormal(features, hidden=(), **shared)
    return Flow(base, stack_layers(layers, norm))
