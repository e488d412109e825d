"""Expectation maximisation for Gaussian mixtures."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from anabranch.algorithms.gaussians.priors import GaussianPrior

Array = NDArray[np.float64]

# Rows below which a component counts as empty.
EMPTY = 1e-3


@dataclass(frozen=True)
class GaussianParameters:
    r"""A Gaussian mixture :math:`\sum_k \pi_k \mathcal N(m_k, \Sigma_k)`.

    Attributes:
        weights: (K,).
        means: (K, D).
        covariances: (K, D, D).
        diagonal: whether they are known to be diagonal, which makes many features cheap.
    """

    weights: Array
    means: Array
    covariances: Array
    diagonal: bool = False

    @property
    def scale_tril(self) -> Array:
        """Cholesky factors of the covariances, (K, D, D)."""
        if self.diagonal:
            return np.sqrt(self.covariances)
        return np.linalg.cholesky(self.covariances).astype(np.float64, copy=False)

    def joint_log_prob(self, X: Array) -> Array:
        r""":math:`\log \pi_k + \log p(x \mid k)`, (N, K)."""
        n_features = X.shape[1]
        if self.diagonal:
            return self._joint_log_prob_diagonal(X)
        joint = np.empty((len(X), len(self.weights)))
        for k, scale_tril in enumerate(self.scale_tril):
            whiten = np.linalg.inv(scale_tril)
            z = (X - self.means[k]) @ whiten.T
            log_det = np.log(np.diagonal(whiten)).sum()
            joint[:, k] = log_det - 0.5 * np.einsum("nd,nd->n", z, z) + np.log(self.weights[k])
        return joint - 0.5 * n_features * np.log(2 * np.pi)

    def _joint_log_prob_diagonal(self, X: Array) -> Array:
        variances = np.diagonal(self.covariances, axis1=1, axis2=2)
        joint = np.empty((len(X), len(self.weights)))
        for k, variance in enumerate(variances):
            squares = ((X - self.means[k]) ** 2 / variance).sum(1)
            joint[:, k] = np.log(self.weights[k]) - 0.5 * (squares + np.log(variance).sum())
        return joint - 0.5 * X.shape[1] * np.log(2 * np.pi)

    def log_prob(self, X: Array) -> Array:
        """Log-density, (N,) in nats."""
        return np.logaddexp.reduce(self.joint_log_prob(X), axis=1)

    def responsibilities(self, X: Array) -> Array:
        """p(k|x), (N, K)."""
        joint = self.joint_log_prob(X)
        return np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])


@dataclass(frozen=True)
class CovarianceModel:
    r"""How covariances are estimated: shrunk towards simpler ones, and regularised.

    .. math:: \Sigma_k = (1 - \lambda_d) C_k + \lambda_d \operatorname{diag} C_k + r I, \qquad
        C_k = (1 - \lambda_t) S_k + \lambda_t \sum_j \pi_j S_j

    with the scatter :math:`S_k` of component k. (0, 0) gives full covariances, (1, 0) diagonal and
    (0, 1) tied ones. Small clusters in many dimensions want something between.

    Source: Friedman (1989), "Regularized discriminant analysis", JASA 84.

    Attributes:
        reg_covar: r.
        to_diagonal: λ_d in [0, 1].
        to_tied: λ_t in [0, 1].
        spherical: one variance for all features of a component, the mean of its diagonal.
    """

    reg_covar: float
    to_diagonal: float = 0.0
    to_tied: float = 0.0
    spherical: bool = False

    @property
    def is_diagonal(self) -> bool:
        """Whether no covariance between features is estimated."""
        return self.spherical or self.to_diagonal == 1.0

    @property
    def is_tied(self) -> bool:
        """Whether all components have one covariance."""
        return self.to_tied == 1.0

    def covariances(self, scatter: Array, weights: Array) -> Array:
        """The estimate from scatter matrices (K, D, D) and mixture weights (K,)."""
        identity = np.eye(scatter.shape[-1])
        if self.to_tied:
            pooled = np.einsum("k,kij->ij", weights, scatter)
            scatter = (1 - self.to_tied) * scatter + self.to_tied * pooled
        diagonal = scatter * identity
        if self.spherical:
            means = diagonal.sum((1, 2)) / len(identity)
            return (means[:, None, None] + self.reg_covar) * identity
        shrunk = (1 - self.to_diagonal) * scatter + self.to_diagonal * diagonal
        return shrunk + self.reg_covar * identity


def gaussian_m_step(
    X: Array, responsibilities: Array, model: CovarianceModel, prior: GaussianPrior | None = None
) -> GaussianParameters:
    """The maximisation step.

    Args:
        X: (N, D).
        responsibilities: (N, K), times what each row counts where that is not one.
        model: how covariances are estimated.
        prior: of the weights and covariances; None for maximum likelihood.

    Example:
        >>> X = np.array([[0.0], [2.0]])
        >>> gaussian_m_step(X, np.ones((2, 1)), CovarianceModel(0.0)).covariances.round(6)
        array([[[1.]]])
    """
    n_features = X.shape[1]
    mass = responsibilities.sum(0) + 10 * np.finfo(np.float64).eps
    weights, means = mass / mass.sum(), responsibilities.T @ X / mass[:, None]
    scatter = np.empty((len(mass), n_features, n_features))
    for k in range(len(mass)):
        centred, share = X - means[k], responsibilities[:, k, None] / mass[k]
        if model.is_diagonal:
            scatter[k] = np.diag((share * centred**2).sum(0))
        else:
            scatter[k] = (share * centred).T @ centred
    if prior is not None:
        scatter = prior.scatter(scatter, mass, tied=model.is_tied)
    covariances = model.covariances(scatter, weights)
    weights = weights if prior is None else prior.weights(mass)
    return GaussianParameters(weights, means, covariances, model.is_diagonal)


def gaussian_e_step(
    X: Array, parameters: GaussianParameters, known: Array | None = None
) -> tuple[Array, Array]:
    r"""The expectation step.

    Args:
        X: (N, D).
        parameters: the mixture.
        known: (N, K) probabilities of labelled rows, which are kept; rows of zeros elsewhere.

    Returns:
        The responsibilities (N, K), and what each row adds to the objective (N,), in nats:
        log p(x), and for a labelled row :math:`\sum_k t_k \log \pi_k p(x \mid k)`.

    Example:
        >>> two = GaussianParameters(np.full(2, 0.5), np.array([[-9.0], [9.0]]), np.ones((2, 1, 1)))
        >>> gaussian_e_step(np.array([[-9.0], [8.0]]), two)[0].round(6)
        array([[1., 0.],
               [0., 1.]])
    """
    joint = parameters.joint_log_prob(X)
    log_prob = np.logaddexp.reduce(joint, axis=1)
    responsibilities = np.exp(joint - log_prob[:, None])
    if known is not None:
        taught = known.any(axis=1)
        responsibilities[taught] = known[taught]
        log_prob[taught] = (known[taught] * joint[taught]).sum(1)
    return responsibilities, log_prob


def gaussian_em_path(
    X: Array,
    start: GaussianParameters,
    model: CovarianceModel,
    *,
    known: Array | None = None,
    prior: GaussianPrior | None = None,
    restart: bool = False,
    weights: Array | None = None,
) -> Iterator[tuple[float, GaussianParameters]]:
    """Steps of EM without end.

    Args:
        X: (N, D).
        start: the mixture before the first step.
        model: how covariances are estimated.
        known: (N, K) probabilities of labelled rows, rows of zeros elsewhere.
        prior: for maximum a posteriori estimates.
        restart: whether a component that owns no rows takes half of another one, at most K times;
            where all rows are known there is none to take.
        weights: (N,) what each row counts: as if it were there so many times. None for once.

    Yields:
        The objective of the mixture before a step, in nats per row, and the mixture after it. The
        objective is the mean of `gaussian_e_step` and the log-prior over N; it never falls but
        where a component was restarted, or by as little as regularisation takes.
    """
    free = known is None or not known.any(1).all()
    parameters, left = start, len(start.weights) if restart and free else 0
    while True:
        responsibilities, log_prob = gaussian_e_step(X, parameters, known)
        objective, n_rows = float(log_prob.mean()), len(X)
        if weights is not None:
            responsibilities = weights[:, None] * responsibilities
            objective, n_rows = float(np.average(log_prob, weights=weights)), weights.sum()
        if prior is not None:
            old = parameters.weights, parameters.covariances
            objective += prior.log_prob(*old, tied=model.is_tied) / n_rows
        parameters = gaussian_m_step(X, responsibilities, model, prior)
        for k in np.flatnonzero(responsibilities.sum(0) < EMPTY)[:left]:
            parameters, left = split_into(X, responsibilities, parameters, int(k)), left - 1
        yield objective, parameters


def gaussian_em(
    X: Array,
    responsibilities: Array,
    model: CovarianceModel,
    *,
    max_iter: int = 50,
    tol: float = 1e-3,
    weights: Array | None = None,
) -> GaussianParameters:
    """Alternate both steps from given responsibilities.

    Without shrinkage and regularisation the log-likelihood never falls.

    Args:
        X: (N, D).
        responsibilities: (N, K), where to start.
        model: how covariances are estimated.
        max_iter: upper limit of iterations.
        tol: smallest gain of the mean log-likelihood, in nats, to go on.
        weights: (N,) what each row counts; None for one.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = np.concatenate([rng.normal(-5, 1, (100, 1)), rng.normal(5, 1, (100, 1))])
        >>> start = np.eye(2)[(X[:, 0] > -4).astype(int)]
        >>> gaussian_em(X, start, CovarianceModel(1e-6)).weights.round(2)
        array([0.5, 0.5])
    """
    last = -np.inf
    R = responsibilities if weights is None else weights[:, None] * responsibilities
    parameters = gaussian_m_step(X, R, model)
    path = gaussian_em_path(X, parameters, model, weights=weights)
    for log_likelihood, improved in islice(path, max_iter):
        if log_likelihood - last < tol:
            break
        last, parameters = log_likelihood, improved
    return parameters


def split_into(
    X: Array, responsibilities: Array, parameters: GaussianParameters, empty: int
) -> GaussianParameters:
    r"""Give an empty component half of the one with the largest scatter, along its long axis.

    The one that is split has the largest :math:`\pi_k \operatorname{tr} \Sigma_k`, what it adds
    to the sum of squares within clusters. Its mean moves by one standard deviation, that of the
    empty one is put as far on the other side.

    Args:
        X: (N, D).
        responsibilities: (N, K) that the parameters were estimated from.
        parameters: the mixture.
        empty: number of the component to restart.
    """
    weights, means = parameters.weights.copy(), parameters.means.copy()
    covariances = parameters.covariances.copy()
    k = int((weights * np.trace(covariances, axis1=1, axis2=2)).argmax())
    share = responsibilities[:, k, None] / responsibilities[:, k].sum()
    centred = X - means[k]
    variances, axes = np.linalg.eigh((share * centred).T @ centred)
    half = np.sqrt(max(variances[-1], 0.0)) * axes[:, -1]
    means[k], means[empty] = means[k] + half, means[k] - half
    covariances[empty] = covariances[k]
    weights[k] = weights[empty] = weights[k] / 2
    weights /= weights.sum()
    return GaussianParameters(weights, means, covariances, parameters.diagonal)


def held_out_log_prob(
    X: Array, responsibilities: Array, model: CovarianceModel, *, folds: int = 5
) -> Array:
    """Log-density of each row under the maximisation step of the other folds, (N,) in nats.

    The responsibilities stay as they are, so that this costs a few steps and no new search. It
    sees every row, and so the rare ones too: a column that varies in one row only has hardly any
    variance without that row.

    Example:
        >>> X = np.array([[0.0], [0.1], [-0.1], [0.05], [9.0]])
        >>> score = held_out_log_prob(X, np.ones((5, 1)), CovarianceModel(1e-3))
        >>> bool(score[4] < -1000)
        True
    """
    fold = np.arange(len(X)) % folds
    scores = np.empty(len(X))
    for number in range(min(folds, len(X))):
        out = fold == number
        parameters = gaussian_m_step(X[~out], responsibilities[~out], model)
        scores[out] = parameters.log_prob(X[out])
    return scores
