"""Mixtures of simple components on products of spaces, by EM: where mixtures of flows start."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive, logsumexp

Array = NDArray[np.float64]

MOST = 1e7  # the largest concentration: a standard deviation of 2 km on the earth
NEWTON = 4  # steps to the concentration of a mean length
PRIOR = 2.0  # rows at the frequencies of the whole table that smooth categories


@dataclass(frozen=True)
class ProductRows:
    """Rows of a product of spaces.

    Attributes:
        directions: for each circle and each sphere its unit vectors, (N, 2) and (N, D).
        reals: (N, D).
        codes: (N, C) of categories 0, 1, ...
        levels: how many categories each of these columns has.
    """

    directions: tuple[Array, ...]
    reals: Array
    codes: Array
    levels: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.reals)

    def take(self, rows: NDArray[np.int64]) -> "ProductRows":
        """Some of them."""
        directions = tuple(x[rows] for x in self.directions)
        return ProductRows(directions, self.reals[rows], self.codes[rows], self.levels)

    def features(self) -> Array:
        """What distances are told from: unit vectors and reals, each block of unit variance."""
        blocks = [x - x.mean(0) for x in (*self.directions, *self.reals.T[..., None])]
        scales = [np.sqrt((x**2).sum(1).mean() / max(x.shape[1] - 1, 1)) for x in blocks]
        pairs = zip(blocks, scales, strict=True)
        return np.concatenate([x / (scale if scale > 0 else 1.0) for x, scale in pairs], 1)


@dataclass(frozen=True)
class ProductParameters:
    r"""A mixture whose components are independent in each space.

    .. math:: p(x \mid k) = \prod_s \mathrm{vMF}(x_s; \mu_{ks}, \kappa_{ks})\;
        \mathcal N(x_r; m_k, \Sigma_k) \prod_j \mathrm{Cat}_j(c_j \mid k)

    Attributes:
        weights: (K,).
        directions: of each circle and sphere the unit vectors (K, D).
        concentrations: of each (K,).
        means: (K, D) of the reals.
        covariances: (K, D, D).
        factors: of each category its probabilities, (K, levels).
    """

    weights: Array
    directions: tuple[Array, ...]
    concentrations: tuple[Array, ...]
    means: Array
    covariances: Array
    factors: tuple[Array, ...]

    def take(self, first: int, last: int) -> "ProductParameters":
        """Some of its components, with weights that are theirs."""
        part = slice(first, last)
        return ProductParameters(
            self.weights[part],
            tuple(x[part] for x in self.directions),
            tuple(kappa[part] for kappa in self.concentrations),
            self.means[part],
            self.covariances[part],
            tuple(table[part] for table in self.factors),
        )

    def joint_log_prob(self, rows: ProductRows) -> Array:
        """Log of weight times density, (N, K) in nats, per product of the measures."""
        with np.errstate(divide="ignore"):
            joint = np.tile(np.log(self.weights), (len(rows), 1))
        for x, mu, kappa in zip(rows.directions, self.directions, self.concentrations, strict=True):
            square = ((x[:, None] - mu) ** 2).sum(-1)
            joint += -kappa * square / 2 - log_integral(kappa, x.shape[1])
        if rows.reals.shape[1]:
            joint += _log_normal(rows.reals, self.means, self.covariances)
        for j, table in enumerate(self.factors):
            joint += np.log(table.T[rows.codes[:, j].astype(np.int64)])
        return joint

    def log_prob(self, rows: ProductRows) -> Array:
        """Log-density, (N,) in nats."""
        return _log_sum(self.joint_log_prob(rows))[:, 0]

    def responsibilities(self, rows: ProductRows) -> Array:
        """(N, K)."""
        joint = self.joint_log_prob(rows)
        return np.exp(joint - _log_sum(joint))


def _log_sum(joint: Array) -> Array:
    """Log of the sum over components, (N, 1)."""
    return np.asarray(logsumexp(joint, axis=1, keepdims=True))


def log_integral(kappa: Array, features: int) -> Array:
    r"""Log of :math:`\int e^{\kappa (\mu \cdot x - 1)} dx` over unit vectors of 2 or 3 numbers.

    Example:
        >>> log_integral(np.array([1e-9]), 3).round(4)  # 4 pi
        array([2.531])
    """
    if features == 2:
        return np.log(2 * np.pi * ive(0, kappa))
    return np.log(2 * np.pi * -np.expm1(-2 * kappa) / kappa)


def concentration_of(length: Array, features: int) -> Array:
    """The concentration whose unit vectors of two or three numbers have a mean of this length.

    By the approximation of Banerjee et al. (2005) and Newton's steps.

    Example:
        >>> concentration_of(np.array([0.0, 1 / np.tanh(5.0) - 1 / 5.0]), 3).round(6)
        array([0., 5.])
    """
    length = np.clip(length, 0.0, 1 - 0.5 / MOST)
    kappa = np.maximum(length * (features - length**2) / (1 - length**2), 1e-8)
    for _ in range(NEWTON):
        mean = (
            ive(1, kappa) / ive(0, kappa)
            if features == 2
            else np.where(kappa > 1e-3, 1 / np.tanh(kappa) - 1 / kappa, kappa / 3)
        )
        slope = 1 - mean**2 - (features - 1) / kappa * mean
        step = np.where(slope > 1e-14, (mean - length) / np.maximum(slope, 1e-14), 0.0)
        kappa = np.clip(kappa - step, kappa / 2, 2 * kappa)
    return np.minimum(kappa, MOST)


def maximisation(rows: ProductRows, R: Array, reg_covar: float) -> ProductParameters:
    """The mixture of responsibilities (N, K).

    Concentrations are at most those of a standard deviation of the root of ``reg_covar``, which is
    added to the variances of reals too; covariances of few rows are shrunk to their diagonals.
    """
    mass = R.sum(0) + 1e-10
    directions, concentrations = [], []
    for x in rows.directions:
        sums = R.T @ x
        lengths = np.linalg.norm(sums, axis=1)
        away = np.eye(x.shape[1])[0]  # any direction will do where there is none
        unit = np.where(lengths[:, None] > 1e-9, sums / np.maximum(lengths, 1e-9)[:, None], away)
        directions.append(unit)
        kappa = concentration_of(lengths / mass, x.shape[1])
        concentrations.append(1 / (1 / np.maximum(kappa, 1e-6) + reg_covar))
    means = R.T @ rows.reals / mass[:, None]
    covariances = _covariances(rows.reals, R, mass, means) + reg_covar * np.eye(means.shape[1])
    factors = []
    for j, size in enumerate(rows.levels):
        seen = np.eye(size)[rows.codes[:, j].astype(np.int64)]
        share = (seen.sum(0) + 1) / (len(seen) + size)
        factors.append((R.T @ seen + PRIOR * share) / (R.sum(0) + PRIOR)[:, None])
    weights = mass / mass.sum()
    return ProductParameters(
        weights, tuple(directions), tuple(concentrations), means, covariances, tuple(factors)
    )


def product_em(
    rows: ProductRows,
    R: Array,
    *,
    known: Array | None = None,
    reg_covar: float = 1e-6,
    max_iter: int = 100,
    tol: float = 1e-4,
) -> ProductParameters:
    """EM from responsibilities (N, K), to where the mean log-density gains less than ``tol``.

    Args:
        rows: N rows.
        R: responsibilities to begin with.
        known: (N, K) labels, rows of zeros where unknown, which stay as they are; or None.
        reg_covar: the least variance.
        max_iter: steps, at most.
        tol: nats.

    Source: Dempster, Laird, Rubin (1977); directions: Banerjee et al. (2005), "Clustering on the
    unit hypersphere using von Mises-Fisher distributions", JMLR 6.

    Example:
        >>> angle = np.array([6.2, 0.1, 6.25, 3.0, 3.2, 3.1])  # around 0, and around pi
        >>> none = np.zeros((6, 0))
        >>> rows = ProductRows((np.c_[np.cos(angle), np.sin(angle)],), none, none)
        >>> mixture = product_em(rows, np.eye(2)[[0, 0, 0, 1, 1, 1]])
        >>> mixture.responsibilities(rows).argmax(1)
        array([0, 0, 0, 1, 1, 1])
    """
    labelled = None if known is None else np.asarray(known.any(axis=1))
    parameters, last = maximisation(rows, R, reg_covar), -np.inf
    for _ in range(max_iter):
        joint = parameters.joint_log_prob(rows)
        log_prob = _log_sum(joint)
        R = np.exp(joint - log_prob)
        if known is not None and labelled is not None:
            R = np.where(labelled[:, None], known, R)
        parameters = maximisation(rows, R, reg_covar)
        if log_prob.mean() - last < tol:
            break
        last = log_prob.mean()
    return parameters


def _covariances(X: Array, R: Array, mass: Array, means: Array) -> Array:
    features = X.shape[1]
    covariances = np.empty((len(mass), features, features))
    for k, mean in enumerate(means):
        centred = X - mean
        full = (R[:, k, None] * centred).T @ centred / mass[k]
        diagonal = np.diag(np.diag(full))
        shrinkage = features / (mass[k] + features)
        covariances[k] = full + shrinkage * (diagonal - full)
    return covariances


def _log_normal(X: Array, means: Array, covariances: Array) -> Array:
    parts = []
    for mean, covariance in zip(means, covariances, strict=True):
        factor = np.linalg.cholesky(covariance)
        z = np.linalg.solve(factor, (X - mean).T)
        half = np.log(np.diag(factor)).sum() + X.shape[1] * np.log(2 * np.pi) / 2
        parts.append(-(z**2).sum(0) / 2 - half)
    return np.stack(parts, 1)
