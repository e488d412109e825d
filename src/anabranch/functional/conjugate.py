"""Conjugate posteriors of a Gaussian mixture: Dirichlet and normal-inverse-Wishart."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

LOG_2 = math.log(2.0)
LOG_2PI = math.log(2 * math.pi)


def dirichlet_log_weights(counts: Tensor) -> Tensor:
    r"""Mean log-weights of a Dirichlet: :math:`E \log \pi_k = \psi(a_k) - \psi(\sum_j a_j)`.

    Args:
        counts: a, (K,), positive.

    Returns:
        (K,).

    Example:
        >>> dirichlet_log_weights(torch.tensor([1.0, 1.0]))
        tensor([-1.0000, -1.0000])
    """
    return torch.digamma(counts) - torch.digamma(counts.sum())


class NormalInverseWishart(NamedTuple):
    r"""Beliefs about means and covariances of K Gaussians.

    .. math:: \Sigma \sim \mathcal{IW}(\Psi, \nu), \qquad
        \mu \mid \Sigma \sim \mathcal N(m, \Sigma / \kappa)

    Attributes:
        mean: m, (K, J).
        strength: :math:`\kappa`, (K,), rows that the mean counts.
        scatter: :math:`\Psi`, (K, J, J).
        dof: :math:`\nu`, (K,), above J - 1.

    Example:
        >>> belief = NormalInverseWishart(
        ...     torch.zeros(1, 2), torch.ones(1), torch.eye(2)[None], torch.full((1,), 4.0)
        ... )
        >>> belief.expected().precision
        tensor([[[4., 0.],
                 [0., 4.]]])
    """

    mean: Tensor
    strength: Tensor
    scatter: Tensor
    dof: Tensor

    @classmethod
    def from_natural(cls, natural: "NaturalParameters") -> "NormalInverseWishart":
        """From what adds up over rows."""
        mean = natural.first / natural.size[:, None]
        square = natural.size[:, None, None] * _outer(mean)
        return cls(mean, natural.size, natural.second - square, natural.dof)

    def natural(self) -> "NaturalParameters":
        """What adds up over rows: a row x of component k adds x, 1, x x' and 1."""
        square = self.strength[:, None, None] * _outer(self.mean)
        first = self.strength[:, None] * self.mean
        return NaturalParameters(first, self.strength, self.scatter + square, self.dof)

    def expected(self) -> "ExpectedGaussian":
        r"""Means of the natural parameters of :math:`\mathcal N(\mu, \Sigma)`.

        .. math:: E\,\Sigma^{-1} = \nu \Psi^{-1}, \qquad
            E\,\mu' \Sigma^{-1} \mu = \nu\, m' \Psi^{-1} m + J / \kappa, \qquad
            E \log |\Sigma| = \log |\Psi| - J \log 2
            - \sum_i \psi\big(\tfrac{\nu + 1 - i}{2}\big)
        """
        size = self.mean.shape[-1]
        precision = self.dof[:, None, None] * torch.linalg.inv(self.scatter)
        linear = (precision @ self.mean[..., None])[..., 0]
        square = (linear * self.mean).sum(-1) + size / self.strength
        log_det = torch.logdet(self.scatter) - size * LOG_2 - _digammas(self.dof, size)
        return ExpectedGaussian(precision, linear, square, log_det)

    def divergence(self, other: "NormalInverseWishart") -> Tensor:
        """KL(self || other) of each component, (K,), in nats."""
        size = self.mean.shape[-1]
        apart = self.mean - other.mean
        precision = self.dof[:, None, None] * torch.linalg.inv(self.scatter)
        distance = torch.einsum("ki,kij,kj->k", apart, precision, apart)
        ratio = other.strength / self.strength
        of_means = 0.5 * (size * (ratio - 1 - ratio.log()) + other.strength * distance)
        # that of the Wishart distributions of the precisions
        shares = torch.linalg.solve(self.scatter, other.scatter)
        spread = shares.diagonal(dim1=-2, dim2=-1).sum(-1) - size
        return (
            of_means
            - 0.5 * other.dof * torch.logdet(shares)
            + 0.5 * self.dof * spread
            + torch.mvlgamma(other.dof / 2, size)
            - torch.mvlgamma(self.dof / 2, size)
            + 0.5 * (self.dof - other.dof) * _digammas(self.dof, size)
        )


class NaturalParameters(NamedTuple):
    """Sums over rows that a belief holds: (K, J), (K,), (K, J, J) and (K,)."""

    first: Tensor
    size: Tensor
    second: Tensor
    dof: Tensor


class ExpectedGaussian(NamedTuple):
    r"""Means of :math:`\Sigma^{-1}`, :math:`\Sigma^{-1}\mu`, :math:`\mu'\Sigma^{-1}\mu` and
    :math:`\log|\Sigma|` under a belief: (K, J, J), (K, J), (K,) and (K,).
    """

    precision: Tensor
    linear: Tensor
    square: Tensor
    log_det: Tensor

    def log_prob(self, loc: Tensor, covariance: Tensor) -> Tensor:
        r"""Mean of :math:`\log \mathcal N(z; \mu_k, \Sigma_k)`, over the belief and z, (K, N).

        Args:
            loc: means of z, (S, N, J): S = 1, or K where each component has its own.
            covariance: of z, (S, N, J, J).
        """
        second = covariance + _outer(loc)
        quadratic = (self.precision[:, None] * second).sum((-1, -2))
        constant = self.square + self.log_det + loc.shape[-1] * LOG_2PI
        return (self.linear[:, None] * loc).sum(-1) - 0.5 * (quadratic + constant[:, None])


def _outer(x: Tensor) -> Tensor:
    return x[..., :, None] * x[..., None, :]


def _digammas(dof: Tensor, size: int) -> Tensor:
    """The sum of psi((nu + 1 - i) / 2) over i = 1..J, (K,)."""
    steps = torch.arange(size, dtype=dof.dtype, device=dof.device)
    return torch.digamma((dof[:, None] - steps) / 2).sum(-1)
