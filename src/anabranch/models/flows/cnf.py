"""Continuous normalizing flow."""

from collections.abc import Sequence

from anabranch.distributions import Flow, Normal
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.transforms import ContinuousFlow


@recipe
def cnf(
    features: int,
    *,
    hidden: Sequence[int] = (64, 64),
    n_steps: int = 16,
    trace: str = "exact",
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""A normal, moved along the velocities of a network.

    .. math:: \frac{dx}{dt} = v(t, x, c), \qquad
        \log p(x_1) = \log \mathcal N(x_0)
        - \int_0^1 \operatorname{tr} \frac{\partial v}{\partial x}\, dt

    Source: Chen et al. (2018), "Neural ordinary differential equations", arXiv:1806.07366;
    Grathwohl et al. (2019), "FFJORD", arXiv:1810.01367.

    Args:
        features: D.
        hidden: hidden sizes of the network of velocities.
        n_steps: steps of the solver of fourth order.
        trace: "exact", or "hutchinson" for a random one, right in the mean, in many columns.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Example:
        >>> flow = cnf(2, hidden=[8], n_steps=4, seed=0)
        >>> flow.sample(3).shape
        torch.Size([3, 2])
    """
    transform = ContinuousFlow(
        features,
        hidden=hidden,
        n_steps=n_steps,
        trace=trace,
        context_features=context_features,
        batch_shape=tuple(batch_shape),
        generator=make_generator(seed),
    )
    return Flow(Normal(features, batch_shape=tuple(batch_shape)), transform)
