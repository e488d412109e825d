"""Minimum message length: components that are not worth what they cost lose their weight."""

from typing import TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Counts = TypeVar("Counts", NDArray[np.float64], Tensor)


def mml_weights(counts: Counts, cost: float) -> Counts:
    r"""Mixture weights of least message length given how many rows each component owns.

    .. math:: \pi_k = \frac{\max(0, N_k - c / 2)}{\sum_j \max(0, N_j - c / 2)}

    It is the maximum a posteriori estimate under an improper Dirichlet prior with exponents
    :math:`-c/2`. Where no component owns more than c/2 rows, the largest gets all the weight.

    Source: Figueiredo, Jain (2002), "Unsupervised learning of finite mixture models", IEEE TPAMI
    24, eq. (17).

    Args:
        counts: (K,) sums of responsibilities, in rows; an array or a tensor.
        cost: c, free parameters of a component; a whole network's count would kill everything,
            so that flows take a share of the rows instead.

    Returns:
        (K,) weights of sum 1, some of them 0; of the kind of ``counts``.

    Raises:
        ValueError: for a negative cost, or counts that are negative, not finite or all zero.

    Example:
        >>> mml_weights(np.array([60.0, 42.0, 1.5]), cost=4.0)
        array([0.59183673, 0.40816327, 0.        ])
        >>> import torch
        >>> mml_weights(torch.tensor([60.0, 40.0]), cost=0.0)
        tensor([0.6000, 0.4000])
    """
    _check_cost("cost", cost)
    if not (counts >= 0).all() or not 0 < float(counts.sum()) < np.inf:
        raise ValueError(f"counts must be numbers of rows, not all of them zero, got {counts}")
    worth = (counts - cost / 2).clip(min=0)
    if not (worth > 0).any():
        worth[counts.argmax()] = 1
    return cast(Counts, worth / worth.sum())


def message_length(
    log_likelihood: float, weights: ArrayLike, n_rows: int, cost: float, *, shared: float = 0.0
) -> float:
    r"""Nats that it takes to send the rows and the mixture, lower is better.

    .. math:: L = \frac c 2 \sum_{k: \pi_k > 0} \max(0, \log \frac{N \pi_k}{12}) +
        \frac{K_+ + s}{2} \log \frac{N}{12} + \frac{K_+ (c + 1) + s}{2} - \log p(X)

    with the number :math:`K_+` of components of positive weight: a parameter of a component is
    estimated from the rows of this component only and needs fewer digits than one of all rows.

    Source: Figueiredo, Jain (2002), "Unsupervised learning of finite mixture models", IEEE TPAMI
    24, eq. (15). Two things are ours: s, parameters that all components share, counted as weights
    are; and the maximum, without which components of less than twelve rows would be paid for.

    Args:
        log_likelihood: log p(X), summed over the rows.
        weights: (K,) of sum 1; components of weight 0 cost nothing.
        n_rows: N.
        cost: c, free parameters of a component.
        shared: s, free parameters that belong to all components, such as a tied covariance.

    Raises:
        ValueError: for a negative cost, no rows, or weights that are no distribution.

    Example:
        >>> one = message_length(-300.0, [1.0], 120, cost=2)
        >>> two = message_length(-300.0, [1.0, 0.0], 120, cost=2)
        >>> one == two, round(one, 3)
        (True, 304.954)
    """
    _check_cost("cost", cost)
    _check_cost("shared", shared)
    pi = np.asarray(weights, dtype=np.float64)
    if not (pi >= 0).all() or not np.isclose(pi.sum(), 1):
        raise ValueError(f"weights must be non-negative with sum 1, got {weights}")
    if n_rows < 1:
        raise ValueError(f"n_rows must be at least 1, got {n_rows}")
    alive = pi[pi > 0]
    parameters = cost / 2 * np.log(np.maximum(n_rows * alive / 12, 1)).sum()
    common = (len(alive) + shared) / 2 * np.log(n_rows / 12)
    rounding = (len(alive) * (cost + 1) + shared) / 2
    return float(parameters + common + rounding - log_likelihood)


def _check_cost(name: str, cost: float) -> None:
    if not 0 <= cost < np.inf:
        raise ValueError(f"{name} must be a non-negative number, got {cost!r}")
