"""Leapfrog steps of Hamiltonian dynamics: invertible, and of constant volume."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Force = Callable[[Tensor], Tensor]


class Phase(NamedTuple):
    """A point with its momentum, and the force on it.

    Attributes:
        z: points (..., D).
        momentum: (..., D).
        force: the gradient of the log-density at the points, (..., D).
    """

    z: Tensor
    momentum: Tensor
    force: Tensor


def leapfrog(start: Phase, force: Force, step: Tensor | float, n_steps: int) -> Phase:
    r"""Follow points and momenta for a few steps.

    .. math:: w \leftarrow w + \tfrac\epsilon2 \nabla \log p(z), \quad
        z \leftarrow z + \epsilon\, w, \quad
        w \leftarrow w + \tfrac\epsilon2 \nabla \log p(z)

    The volume of (z, w) does not change, and :math:`\tfrac12 |w|^2 - \log p(z)` only by
    :math:`O(\epsilon^2)`. With the momenta turned round the same steps lead back. Each step takes
    one gradient: the force where one ends is that where the next begins.

    Args:
        start: where to begin; its force is that at its points.
        force: the gradient of the log-density.
        step: :math:`\epsilon`, a number or one for each coordinate (D,), which stands for a
            diagonal mass as well.
        n_steps: how many.

    Source: Neal (2011), "MCMC using Hamiltonian dynamics", arXiv:1206.1901.

    Example:
        >>> z, w = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> end = leapfrog(Phase(z, w, -z), torch.neg, 0.1, 10)
        >>> back = leapfrog(end._replace(momentum=-end.momentum), torch.neg, 0.1, 10)
        >>> torch.allclose(back.z, z, atol=1e-6), torch.allclose(-back.momentum, w, atol=1e-6)
        (True, True)
    """
    z, momentum, push = start
    for _ in range(n_steps):
        momentum = momentum + 0.5 * step * push
        z = z + step * momentum
        push = force(z)
        momentum = momentum + 0.5 * step * push
    return Phase(z, momentum, push)


def score(log_density: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """The gradient of a log-density at points (..., D), itself differentiable.

    It is taken wherever it is asked for, without gradients around it as well.

    Example:
        >>> with torch.no_grad():
        ...     score(lambda z: -0.5 * z.square().sum(-1), torch.tensor([[1.0, 2.0]]))
        tensor([[-1., -2.]])
    """
    return torch.func.grad(lambda at: log_density(at).sum())(z)
