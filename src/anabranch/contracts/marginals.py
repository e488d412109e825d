"""Distributions that know the distribution function of each of their numbers."""

from abc import abstractmethod

import torch
from torch import Tensor

from anabranch.contracts.distribution import Distribution
from anabranch.functional import expand_batch
from anabranch.functional.modes import full_precision


class Marginals(Distribution):
    r"""A distribution with the marginal distribution functions of the numbers of an event.

    .. math:: F_d(x_d) = P(X_d \le x_d)

    Where the numbers are independent they say all; elsewhere, as for a mixture, they say what each
    number does alone. A subclass implements ``_cdf`` and ``_icdf`` on canonical shapes.
    """

    def cdf(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The probability of a number at most that large, for each number of x.

        Args:
            x: as for ``log_prob``.
            context: as for ``log_prob``.

        Returns:
            Of the shape of x, or with a batch_shape (*batch_shape, N, *event_shape).

        Raises:
            ValueError: as ``log_prob``.
        """
        points, conditions, lead = self._canonical(x, context)
        with full_precision(x.device):
            return self._spread_events(self._cdf(points, conditions), lead)

    def icdf(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        """The numbers below which these shares of probability lie; the inverse of ``cdf``.

        Args:
            u: numbers between 0 and 1, shaped as x.
            context: as for ``log_prob``.
        """
        shares, conditions, lead = self._canonical(u, context)
        with full_precision(u.device):
            return self._spread_events(self._icdf(shares, conditions), lead)

    def scores(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        r"""Normal scores :math:`\Phi^{-1}(F_d(x_d))`, shaped as ``cdf``.

        Families that know their tails in logarithms keep all digits there; others give no score
        beyond the last number below one.

        Args:
            x: as for ``log_prob``.
            context: as for ``log_prob``.
        """
        points, conditions, lead = self._canonical(x, context)
        with full_precision(x.device):
            return self._spread_events(self._scores(points, conditions), lead)

    def from_scores(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """The numbers that have these normal scores; the inverse of ``scores``."""
        points, conditions, lead = self._canonical(z, context)
        with full_precision(z.device):
            return self._spread_events(self._from_scores(points, conditions), lead)

    def _scores(self, x: Tensor, context: Tensor | None) -> Tensor:
        return torch.special.ndtri(_inside(self._cdf(x, context)))

    def _from_scores(self, z: Tensor, context: Tensor | None) -> Tensor:
        return self._icdf(_inside(torch.special.ndtr(z)), context)

    @abstractmethod
    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor: ...

    @abstractmethod
    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor: ...

    def _spread_events(self, y: Tensor, lead: tuple[int, ...]) -> Tensor:
        if self.batch_shape:
            return expand_batch(y, self.batch_shape, len(self.event_shape))
        return y.reshape(*lead, *self.event_shape)


def _inside(u: Tensor) -> Tensor:
    """Shares that are neither nothing nor all."""
    info = torch.finfo(u.dtype)
    return u.clamp(info.tiny, 1 - info.eps / 2)
