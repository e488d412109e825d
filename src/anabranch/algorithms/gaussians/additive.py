"""Several discrete variables whose means add up: facets without axes, by EM."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# Smallest gain of the mean log-density, in nats, to go on.
GAIN = 1e-5
# Iterations from every start, and how many of them go on.
SHORT, FINALISTS = 10, 4


class AdditiveMixture(NamedTuple):
    """A mixture of Gaussians at the sums of means, one of each variable.

    Attributes:
        log_prob: mean log-density of the rows, in nats.
        nodes: p(y_i|z) of each variable, (K_i, N).
        weights: p(y_i), (K_i,) each.
        means: (K_i, D) each.
        covariance: (D, D).
    """

    log_prob: float
    nodes: list[Tensor]
    weights: list[Tensor]
    means: list[Tensor]
    covariance: Tensor

    @property
    def states(self) -> tuple[int, ...]:
        """K_1 ... K_m."""
        return tuple(len(weights) for weights in self.weights)

    def bic(self) -> float:
        """Log-density of all rows, less half the logarithm of their number per parameter."""
        n, d, free = (
            self.nodes[0].shape[1],
            len(self.covariance),
            sum(self.states) - len(self.nodes),
        )
        n_parameters = free + (free + 1) * d + d * (d + 1) // 2
        return n * self.log_prob - 0.5 * n_parameters * math.log(n)


def additive_em(
    z: Tensor,
    states: Sequence[int],
    *,
    n_init: int = 40,
    max_iter: int = 100,
    reg_covar: float = 0.0,
    random_state: np.random.RandomState | None = None,
) -> AdditiveMixture:
    r"""Fit independent discrete variables of which each adds a mean of its own.

    .. math:: p(z) = \sum_{y_1 \dots y_m} \prod_i p(y_i) \;
        \mathcal N\Big(z; \sum_i \mu_{i, y_i}, \Sigma\Big)

    No axes belong to a variable beforehand, so that a rotation of the rows rotates the result. All
    joint states are gone through: the cost grows with their number.

    Source: Ghahramani (1995), "Factorial learning and the EM algorithm"; before: Hinton, Zemel
    (1994), "Autoencoders, minimum description length and Helmholtz free energy" (cooperative vector
    quantisation).

    Args:
        z: rows (N, D), float64.
        states: K_1 ... K_m.
        n_init: starts from means at random rows, of which the likeliest after a few iterations go
            on.
        max_iter: upper limit of iterations from each.
        reg_covar: added to the variances.
        random_state: source of the starts.

    Raises:
        ValueError: for no variables or starts, or fewer rows than states of one.

    Example:
        >>> source = torch.Generator().manual_seed(0)
        >>> y = torch.randint(2, (300, 2), generator=source).double()
        >>> z = 4 * y + torch.randn(300, 2, generator=source, dtype=torch.float64)
        >>> found = additive_em(z, (2, 2), random_state=np.random.RandomState(0))
        >>> steps = torch.stack([means[1] - means[0] for means in found.means])
        >>> steps.norm(dim=1).round().tolist()
        [4.0, 4.0]
    """
    if not states or min(states) < 1 or max(states) > len(z) or n_init < 1:
        raise ValueError(
            "states must be at least one number of 1 to as many as rows, and n_init at least 1, "
            f"got {tuple(states)} for {len(z)} rows, and {n_init}"
        )
    random_state = np.random.RandomState() if random_state is None else random_state
    joint, centre = joint_states(states, z), z.mean(0)
    tried = [
        _climb(z - centre, joint, start, min(SHORT, max_iter), reg_covar)
        for start in (_start(z - centre, states, random_state) for _ in range(n_init))
    ]
    best = sorted(tried, key=lambda fit: -fit.log_prob)[:FINALISTS]
    ends = [_climb(z - centre, joint, fit, max_iter - SHORT, reg_covar) for fit in best]
    return _parted(max(ends, key=lambda fit: fit.log_prob), centre, list(states))


class _Fit(NamedTuple):
    """Parameters of all variables one below the other, and what rows (N, D) say of them."""

    weights: Tensor
    means: Tensor
    covariance: Tensor
    log_prob: float = -math.inf
    nodes: Tensor = torch.empty(0)


def _parted(fit: _Fit, centre: Tensor, sizes: list[int]) -> AdditiveMixture:
    means = fit.means + centre / len(sizes)
    nodes, weights, each = (list(v.split(sizes)) for v in (fit.nodes, fit.weights, means))
    return AdditiveMixture(fit.log_prob, nodes, weights, each, fit.covariance)


def _start(centred: Tensor, states: Sequence[int], random_state: np.random.RandomState) -> _Fit:
    """Means at rows, drawn in so that the sums of all variables are well within the rows."""
    chosen = [random_state.choice(len(centred), k, replace=False) for k in states]
    rows = centred[torch.as_tensor(np.concatenate(chosen))]
    weights = torch.cat([centred.new_full((k,), 1 / k) for k in states])
    return _Fit(weights, 0.5 * rows / math.sqrt(len(states)), 0.5 * _second(centred))


def _second(centred: Tensor) -> Tensor:
    return centred.mT @ centred / len(centred)


def joint_states(states: Sequence[int], like: Tensor) -> Tensor:
    """Which state each variable has in each joint one, one-hot, (prod K_i, sum K_i).

    Example:
        >>> joint_states((2, 2), torch.zeros(1)).tolist()[1]
        [1.0, 0.0, 0.0, 1.0]
    """
    each = np.indices(tuple(states)).reshape(len(states), -1)
    tables = [torch.eye(k)[torch.as_tensor(own)] for k, own in zip(states, each, strict=True)]
    return torch.cat(tables, 1).to(like)


@torch.no_grad()
def _climb(z: Tensor, joint: Tensor, fit: _Fit, max_iter: int, reg_covar: float) -> _Fit:
    """Iterations of EM on centred rows."""
    (weights, means, covariance), before = fit[:3], -math.inf
    for _ in range(max_iter):
        log_p, log_prob = _responsibilities(z, joint, weights, means, covariance)
        if log_prob - before < GAIN:
            break
        before, p = log_prob, log_p.exp()
        counts = joint.mT @ (p.mean(1, keepdim=True) * joint)
        sums = joint.mT @ (p @ z) / len(z)
        weights = counts.diagonal()
        # means of two variables may trade a shift: of all that are as likely, the shortest
        means = torch.linalg.pinv(counts, hermitian=True) @ sums
        covariance = _second(z) - sums.mT @ means + reg_covar * torch.eye(z.shape[1]).to(z)
    log_p, log_prob = _responsibilities(z, joint, weights, means, covariance)
    return _Fit(weights, means, covariance, log_prob, joint.mT @ log_p.exp())


def _responsibilities(
    z: Tensor, joint: Tensor, weights: Tensor, means: Tensor, covariance: Tensor
) -> tuple[Tensor, float]:
    """Log-probabilities of the joint states, (P, N), and the mean log-density."""
    scale = torch.linalg.cholesky(0.5 * (covariance + covariance.mT))
    rows, centres = (
        torch.linalg.solve_triangular(scale, values.mT, upper=False)
        for values in (z, joint @ means)
    )
    squares = rows.square().sum(0) + centres.square().sum(0)[:, None] - 2 * centres.mT @ rows
    log_norm = scale.diagonal().log().sum() + 0.5 * z.shape[1] * math.log(2 * math.pi)
    log_joint = (joint @ weights.clamp_min(1e-300).log())[:, None] - 0.5 * squares - log_norm
    log_prob = log_joint.logsumexp(0)
    return log_joint - log_prob, float(log_prob.mean())
