"""The density of the known cells of rows, by draws of the missing ones."""

from torch import Tensor

from anabranch.distributions import Mixture
from anabranch.objectives.importance import iwae


def marginal_joint(mixture: Mixture, draws: Tensor, log_prob: Tensor) -> Tensor:
    r"""Log p(x_o, c) of rows whose missing cells are summed out by importance sampling.

    .. math:: \log \frac1S \sum_s \frac{p(x_o, x_m^s, c)}{q(x_m^s \mid x_o)},
        \qquad x_m^s \sim q(x_m \mid x_o)

    Exact where q is the conditional of the mixture itself; else in expectation below the logarithm,
    and the closer the more draws there are.

    Args:
        mixture: of K components.
        draws: (n, S, D) the rows with S draws of what they lack.
        log_prob: (n, S) log q of the draws.

    Returns:
        (K, n), in nats.

    Source: Burda, Grosse, Salakhutdinov (2015), arXiv:1509.00519; for missing cells Mattei,
    Frellsen (2019), "MIWAE", arXiv:1812.02633.

    Example:
        >>> import torch
        >>> from anabranch.distributions import Normal
        >>> mixture, x = Mixture([Normal(1)]), torch.tensor([[[0.3], [2.0]]])
        >>> marginal_joint(mixture, x, Normal(1).log_prob(x))  # nothing is known: log 1
        tensor([[0.]])
    """
    joint = mixture.joint_log_prob(draws.flatten(0, 1)).unflatten(1, draws.shape[:2])
    return iwae((joint - log_prob).movedim(-1, 0))
