"""Smooth interpolation of the cumulative, with a network that rises."""

from collections.abc import Sequence

from anabranch.distributions import Flow, Logistic
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.transforms import BlockAutoregressive, Inverse


@recipe
def sic(
    features: int = 1,
    *,
    hidden: Sequence[int] = (10,),
    inverse: bool = False,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""A distribution function of one column: the logistic function of a network that rises.

    .. math:: F(x) = \sigma\bigl(a f(x) + (1 - a) x\bigr), \qquad p(x) = F'(x)

    The network f has positive weights, and the share of x, which is never nothing, sends F to 0 and
    1 at the ends: whatever the parameters are, F is a distribution function and p a density. It is
    meant to be fitted to the empirical distribution function, as `FlowDensity` does, or
    `anabranch.procedures.fit_cumulative`; but it is a flow, and can be fitted by likelihood.

    Source: Magdon-Ismail, Atiya (2002), "Density estimation and random variate generation using
    multilayer networks", IEEE Transactions on Neural Networks 13; positive weights as in De Cao,
    Titov, Aziz (2019), arXiv:1904.04676.

    Args:
        features: 1; for more see `anabranch.networks.CumulativeNetwork`.
        hidden: hidden units, for rows of about unit scale.
        inverse: False for fast densities (rows are mapped by the network), True for fast draws
            (the network makes rows of uniforms), see `anabranch.procedures.fit_quantiles`.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: for more than one column.

    Example:
        >>> flow = sic(1, hidden=[5], seed=0)
        >>> flow.log_prob(flow.sample(4)).shape
        torch.Size([4])
    """
    if features != 1:
        raise ValueError(f"recipe 'sic' is for one column, got features={features}")
    network = BlockAutoregressive(
        1, hidden=hidden, batch_shape=tuple(batch_shape), generator=make_generator(seed)
    )
    base = Logistic(1, batch_shape=tuple(batch_shape))
    return Flow(base, Inverse(network) if inverse else network)
