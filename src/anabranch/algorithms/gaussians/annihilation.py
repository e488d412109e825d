"""Gaussian mixtures whose number of components is found by annihilation."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from anabranch.algorithms.gaussians.em import (
    CovarianceModel,
    GaussianParameters,
    gaussian_m_step,
)
from anabranch.algorithms.gaussians.message_length import message_length, mml_weights
from anabranch.algorithms.gaussians.priors import GaussianPrior

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Annihilation:
    """What a search over the number of components found.

    Attributes:
        parameters: the mixture with the smallest description length.
        lengths: description length in nats at each number of components that was reached.
        n_iter: sweeps in all.
        converged: whether the mixture converged within ``max_iter`` sweeps.
    """

    parameters: GaussianParameters
    lengths: dict[int, float]
    n_iter: int
    converged: bool


def annihilate(
    X: Array,
    start: GaussianParameters,
    model: CovarianceModel,
    *,
    prior: GaussianPrior | None = None,
    min_components: int = 1,
    max_iter: int = 100,
    tol: float = 1e-5,
) -> Annihilation:
    r"""Fit with fewer and fewer components, and keep the mixture of least description length.

    Components are updated one at a time, and one that owns too few rows for its parameters loses
    them to the others. Once the message length is steady the weakest component is taken away, and
    so on down to ``min_components``. Of the mixtures on the way the one with the least
    :math:`-\log L + \tfrac p2 \log N`, half of BIC, is kept: by the message length, components of a
    few dozen rows are so cheap that with three starts one mixture in seven had too many.

    Source: Figueiredo, Jain (2002), "Unsupervised learning of finite mixture models", IEEE TPAMI
    24, figure 2, where the message length chooses too.

    Args:
        X: (N, D).
        start: a mixture of more components than are needed.
        model: how covariances are estimated.
        prior: of the covariances; that of the weights is the one of `mml_weights`.
        min_components: where to stop.
        max_iter: most sweeps for each number of components.
        tol: smallest gain of the message length, in nats per row, to go on.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = np.concatenate([rng.normal(-5, 1, (200, 1)), rng.normal(5, 1, (200, 1))])
        >>> start = GaussianParameters(np.full(6, 1 / 6), X[::70], np.full((6, 1, 1), 5.0))
        >>> annihilate(X, start, CovarianceModel(1e-6)).parameters.weights.round(2)
        array([0.5, 0.5])
    """
    parameters, best, lengths = start, start, {}
    shortest, sweeps, converged = np.inf, 0, False
    while True:
        last, total, steady = np.inf, -np.inf, False
        for swept in islice(_sweeps(X, parameters, model, prior), max_iter):
            length, total, parameters = swept
            sweeps += 1
            steady = abs(last - length) < tol * len(X)
            last = length
            if steady:
                break
        count = len(parameters.weights)
        free = n_parameters(model, count, X.shape[1])
        lengths[count] = free / 2 * np.log(len(X)) - total
        if lengths[count] < shortest:
            shortest, best, converged = lengths[count], parameters, steady
        if count <= min_components:
            return Annihilation(best, lengths, sweeps, converged)
        parameters = without(parameters, int(parameters.weights.argmin()))


def n_parameters(model: CovarianceModel, n_components: int, n_features: int) -> int:
    """Free parameters of a mixture.

    Example:
        >>> n_parameters(CovarianceModel(0.0), 3, 2)
        17
    """
    cost, shared = component_cost(model, n_features)
    return n_components * (cost + 1) + shared - 1


def component_cost(model: CovarianceModel, n_features: int) -> tuple[int, int]:
    """Free parameters of one component, and those that all components share.

    Example:
        >>> component_cost(CovarianceModel(0.0), 2), component_cost(CovarianceModel(0, 0, 1.0), 2)
        ((5, 0), (2, 3))
    """
    triangle = n_features * (n_features + 1) // 2
    if model.spherical:
        return n_features + 1, 0
    covariance = n_features if model.is_diagonal else triangle
    return (n_features, covariance) if model.is_tied else (n_features + covariance, 0)


def without(parameters: GaussianParameters, k: int) -> GaussianParameters:
    """The mixture without one component, whose weight the others share.

    Example:
        >>> weights = np.array([0.5, 0.3, 0.2])
        >>> three = GaussianParameters(weights, np.zeros((3, 1)), np.ones((3, 1, 1)))
        >>> without(three, 2).weights
        array([0.625, 0.375])
    """
    rest = np.arange(len(parameters.weights)) != k
    weights = parameters.weights[rest]
    return replace(
        parameters,
        weights=weights / weights.sum(),
        means=parameters.means[rest],
        covariances=parameters.covariances[rest],
    )


def _sweeps(
    X: Array, parameters: GaussianParameters, model: CovarianceModel, prior: GaussianPrior | None
) -> Iterator[tuple[float, float, GaussianParameters]]:
    """Sweeps over the components without end: message length, log-likelihood and the mixture."""
    cost, shared = component_cost(model, X.shape[1])
    log_prob = _log_prob(X, parameters)
    while True:
        k = 0
        while k < len(parameters.weights):
            responsibilities = _responsibilities(log_prob, parameters.weights)
            weight = mml_weights(responsibilities.sum(0), cost)[k]
            if weight == 0:
                parameters, log_prob = without(parameters, k), np.delete(log_prob, k, axis=1)
                continue
            one = gaussian_m_step(X, responsibilities[:, k : k + 1], model, prior)
            parameters = _updated(parameters, k, weight, one, tied=model.is_tied)
            log_prob[:, k] = _log_prob(X, _only(parameters, k))[:, 0]
            k += 1
        if model.is_tied:
            every = gaussian_m_step(
                X, _responsibilities(log_prob, parameters.weights), model, prior
            )
            parameters = replace(parameters, covariances=every.covariances)
            log_prob = _log_prob(X, parameters)
        joint = log_prob + np.log(parameters.weights)
        total = float(np.logaddexp.reduce(joint, axis=1).sum())
        length = message_length(total, parameters.weights, len(X), cost, shared=shared)
        yield length, total, parameters


def _updated(
    parameters: GaussianParameters, k: int, weight: float, one: GaussianParameters, *, tied: bool
) -> GaussianParameters:
    """The mixture with another component k; a tied covariance waits for the end of the sweep."""
    weights, means = parameters.weights.copy(), parameters.means.copy()
    covariances = parameters.covariances.copy()
    weights[k], means[k] = weight, one.means[0]
    if not tied:
        covariances[k] = one.covariances[0]
    return replace(
        parameters, weights=weights / weights.sum(), means=means, covariances=covariances
    )


def _only(parameters: GaussianParameters, k: int) -> GaussianParameters:
    """Component k as a mixture of one."""
    means, covariances = parameters.means[k : k + 1], parameters.covariances[k : k + 1]
    return replace(parameters, weights=np.ones(1), means=means, covariances=covariances)


def _log_prob(X: Array, parameters: GaussianParameters) -> Array:
    """Log p(x|k), (N, K)."""
    return parameters.joint_log_prob(X) - np.log(parameters.weights)


def _responsibilities(log_prob: Array, weights: Array) -> Array:
    joint = log_prob + np.log(weights)
    scaled = np.exp(joint - joint.max(axis=1, keepdims=True))
    return scaled / scaled.sum(axis=1, keepdims=True)
