"""Distributions that know the distribution function of each of their numbers."""

from abc import abstractmethod

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

    @abstractmethod
    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor: ...

    @abstractmethod
    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor: ...

    def _spread_events(self, y: Tensor, lead: tuple[int, ...]) -> Tensor:
        if self.batch_shape:
            return expand_batch(y, self.batch_shape, len(self.event_shape))
        return y.reshape(*lead, *self.event_shape)
