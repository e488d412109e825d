"""Planar flow."""

from collections.abc import Sequence

from anabranch.distributions import Flow
from anabranch.models.flows.rank_one import rank_one_flow
from anabranch.models.registry import recipe
from anabranch.transforms import Planar


@recipe
def planar(
    features: int,
    *,
    n_layers: int = 8,
    inverse: bool = False,
    learn_base: bool = False,
    hidden: Sequence[int] = (64,),
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Ridges along one direction after another.

    .. math:: f(x) = x + \hat u \tanh(w^\top x + b)

    Only one direction of a layer is in closed form; the other is solved numerically, exactly but
    far more slowly.

    Source: Rezende, Mohamed (2015), "Variational inference with normalizing flows",
    arXiv:1505.05770.

    Args:
        features: D.
        n_layers: layers.
        inverse: False for closed-form densities (data are mapped by f), True for closed-form
            draws (noise is mapped by f), as variational inference needs them and the paper has it.
        learn_base: whether the base has a mean and scales of its own.
        hidden: hidden sizes of the MLPs that give the parameters, used with a context only.
        context_features: size of the context; with one, all parameters depend on it.
        batch_shape: the component axis.
        seed: of the initial weights.

    Example:
        >>> flow = planar(2, n_layers=3, inverse=True, seed=0)
        >>> x, log_prob = flow.rsample_and_log_prob(4)
        >>> x.shape, log_prob.shape
        (torch.Size([4, 2]), torch.Size([4]))
    """
    return rank_one_flow(
        Planar,
        features,
        n_layers=n_layers,
        inverse=inverse,
        learn_base=learn_base,
        hidden=hidden,
        context_features=context_features,
        batch_shape=batch_shape,
        seed=seed,
    )
