"""What a Gaussian mixture says of some columns, and of the others once they are known."""

import numpy as np
from numpy.typing import NDArray

from anabranch.algorithms.gaussians.em import GaussianParameters

Array = NDArray[np.float64]


def marginal(parameters: GaussianParameters, columns: NDArray[np.int64]) -> GaussianParameters:
    r"""The mixture of some columns alone, :math:`\sum_k \pi_k \mathcal N(m_{ka}, \Sigma_{kaa})`.

    Args:
        parameters: the mixture.
        columns: a, their numbers.

    Example:
        >>> one = GaussianParameters(np.ones(1), np.array([[1.0, 2.0]]), np.eye(2)[None])
        >>> marginal(one, np.array([1])).means
        array([[2.]])
    """
    return GaussianParameters(
        parameters.weights.copy(),
        parameters.means[:, columns],
        parameters.covariances[:, columns[:, None], columns],
        parameters.diagonal,
    )


def conditional(
    parameters: GaussianParameters, known: NDArray[np.int64], values: Array
) -> GaussianParameters:
    r"""The mixture of the other columns, a, where the numbers of some, b, are known.

    .. math::
        \pi_k' \propto \pi_k\, \mathcal N(x_b; m_{kb}, \Sigma_{kbb}), \qquad
        m_k' = m_{ka} + \Sigma_{kab} \Sigma_{kbb}^{-1} (x_b - m_{kb}), \qquad
        \Sigma_k' = \Sigma_{kaa} - \Sigma_{kab} \Sigma_{kbb}^{-1} \Sigma_{kba}

    Args:
        parameters: the mixture.
        known: b, the numbers of the columns.
        values: x_b, as many.

    Example:
        >>> both = np.array([[[1.0, 0.5], [0.5, 1.0]]])
        >>> one = GaussianParameters(np.ones(1), np.zeros((1, 2)), both)
        >>> told = conditional(one, np.array([1]), np.array([2.0]))
        >>> told.means, told.covariances
        (array([[1.]]), array([[[0.75]]]))
    """
    others = np.setdiff1d(np.arange(parameters.means.shape[1]), known)
    joint = marginal(parameters, known).joint_log_prob(values[None])[0]
    weights = np.exp(joint - np.logaddexp.reduce(joint))
    full = parameters.covariances
    across = full[:, others[:, None], known]
    inner = full[:, known[:, None], known]
    gain = np.linalg.solve(inner, across.transpose(0, 2, 1)).transpose(0, 2, 1)
    offsets = values - parameters.means[:, known]
    means = parameters.means[:, others] + np.einsum("kab,kb->ka", gain, offsets)
    covariances = full[:, others[:, None], others] - gain @ across.transpose(0, 2, 1)
    symmetric = (covariances + covariances.transpose(0, 2, 1)) / 2
    return GaussianParameters(weights / weights.sum(), means, symmetric, parameters.diagonal)
