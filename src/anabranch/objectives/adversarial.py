"""What generator and critic minimise: pure functions of the critic's values."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

Critic = Callable[[Tensor], Tensor]


def wasserstein_critic(real: Tensor, drawn: Tensor) -> Tensor:
    r"""Minus the gap of a critic between rows and draws, which is what it minimises.

    .. math:: E\,f(x') - E\,f(x)

    Over functions with slopes of at most one, its least value is minus the distance of Wasserstein
    between the distributions of x and x'. See `slope_penalty`.

    Source: Arjovsky, Chintala, Bottou (2017), "Wasserstein GAN", arXiv:1701.07875.

    Args:
        real: (N,), values f of rows.
        drawn: (M,), values of draws.

    Returns:
        A scalar, in units of the data.

    Example:
        >>> wasserstein_critic(torch.tensor([3.0, 1.0]), torch.tensor([0.5]))
        tensor(-1.5000)
    """
    return drawn.mean() - real.mean()


def wasserstein_generator(drawn: Tensor) -> Tensor:
    r"""What a generator minimises against `wasserstein_critic`: :math:`-E\,f(x')`.

    Example:
        >>> wasserstein_generator(torch.tensor([0.5, 1.5]))
        tensor(-1.)
    """
    return -drawn.mean()


def nonsaturating_critic(real: Tensor, drawn: Tensor) -> Tensor:
    r"""Cross-entropy of telling rows from draws, in nats.

    .. math:: -E \log \sigma(f(x)) - E \log(1 - \sigma(f(x')))

    Where the distributions of x and x' are the same, its least value is 2 log 2.

    Source: Goodfellow et al. (2014), "Generative adversarial networks", arXiv:1406.2661.

    Args:
        real: (N,), log-odds f of rows.
        drawn: (M,), log-odds of draws.

    Returns:
        A scalar.

    Example:
        >>> nonsaturating_critic(torch.zeros(2), torch.zeros(2))
        tensor(1.3863)
    """
    return softplus(-real).mean() + softplus(drawn).mean()


def nonsaturating_generator(drawn: Tensor) -> Tensor:
    r"""What a generator minimises against it: :math:`-E \log \sigma(f(x'))`.

    Its slope does not vanish where the critic is certain that a draw is one, as that of
    :math:`E \log(1 - \sigma(f(x')))` does.

    Source: Goodfellow et al. (2014), arXiv:1406.2661.

    Example:
        >>> nonsaturating_generator(torch.zeros(2))
        tensor(0.6931)
    """
    return softplus(-drawn).mean()


def slope_penalty(critic: Critic, x: Tensor, target: float = 1.0) -> Tensor:
    r"""How far the slope of a critic is from a target: :math:`(\lVert \nabla f(x) \rVert - s)^2`.

    With s = 1 at `between` rows and draws it is the penalty of WGAN-GP, and with s = 0 at rows
    :math:`R_1` (without its factor one half). The gradient flows to the critic.

    Source: Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville (2017), "Improved training of
    Wasserstein GANs", arXiv:1704.00028; Mescheder, Geiger, Nowozin (2018), "Which training methods
    for GANs do actually converge?", arXiv:1801.04406.

    Args:
        critic: from rows (N, D) to values (N,) or (N, 1), each of its own row alone.
        x: (N, D), where the slope is taken.
        target: s.

    Returns:
        (N,).

    Example:
        >>> slope_penalty(lambda x: x @ torch.tensor([3.0, 4.0]), torch.zeros(2, 2))
        tensor([16., 16.])
    """
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    if target == 0:
        return slope.square().sum(-1)
    return (_length(slope) - target).square()


def between(real: Tensor, drawn: Tensor, share: Tensor) -> Tensor:
    """Points on the lines from draws to rows.

    Args:
        real: (N, D).
        drawn: (N, D).
        share: (N, 1), of the row in each point; uniform in [0, 1] for WGAN-GP.

    Returns:
        (N, D), without gradients.

    Example:
        >>> between(torch.ones(1, 2), torch.zeros(1, 2), torch.tensor([[0.25]]))
        tensor([[0.2500, 0.2500]])
    """
    return torch.lerp(drawn.detach(), real, share)


def _length(slope: Tensor) -> Tensor:
    # a critic that is flat at a point has a slope of length zero, whose root has no gradient
    squares = slope.square().sum(-1)
    return torch.where(squares > 0, squares, torch.ones_like(squares)).sqrt() * (squares > 0)
