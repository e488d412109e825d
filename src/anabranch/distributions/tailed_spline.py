"""Splines with prescribed tails, for single numbers."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from anabranch.contracts.context import vector_size
from anabranch.contracts.marginals import Marginals
from anabranch.functional import expand_batch, log1mexp
from anabranch.functional.normal_scores import log_cdf_pair, normal_score
from anabranch.functional.numbers import check_whole
from anabranch.functional.shapes import Shape
from anabranch.functional.splines import rational_quadratic, rational_quadratic_inverse
from anabranch.functional.tails import Tail, TailSpec, make_tail

Array = NDArray[np.float64]
Pair = tuple[Tensor, Tensor]
LEAST_SLOPE = 1e-8  # of the spline, in shares a unit: no density is nothing between the tails


class _Logs(NamedTuple):
    """Logarithms of the distribution function, of what is above, and of the density."""

    lower: Tensor
    upper: Tensor
    density: Tensor


class TailedSpline(Marginals):
    r"""A spline through the quantiles of each number, with a tail of a given law on either side.

    .. math:: F(x) = \begin{cases}
        \bar G\bigl(a + b_l\, (x_l - x)\bigr) & x < x_l \\
        S(x) & x_l \le x \le x_u \\
        1 - \bar G\bigl(a + b_u\, (x - x_u)\bigr) & x > x_u \end{cases}, \qquad \bar G(a) = q

    q is the share of each tail, and S a rational-quadratic spline that meets the tails in value and
    in slope: the density has no jump. Only b is fitted, by the likelihood of the outer
    ``fit_share`` of the rows given that they are there; how the tail falls is what is believed of
    it, and no sample of a few thousand rows could say. Before ``fit_rows`` it is the law of the
    tails itself, or for Pareto's a normal between them.

    Source: Wiese, Knobloch, Korn (2019), "Copula & marginal flows: disentangling the marginal from
    its joint", arXiv:1907.03361, section 3; Carreau, Bengio (2009), "A hybrid Pareto model".

    Args:
        event_shape: D.
        lower: the law of the lower tail, "gaussian", "pareto", "student", or {"name": ..., keyword:
            value}, such as {"name": "student", "df": 3.0}; see `anabranch.functional.tails`.
        upper: that of the upper tail.
        tail_share: q, below a half.
        fit_share: share of the rows on each side that b is fitted to, at least q and at most a
            half; None for q. A law of the whole line that is believed beyond its tail is fitted the
            better, the more rows.
        bins: of the spline.
        batch_shape: the component axis.

    Raises:
        ValueError: for an unknown tail, shares that cannot be, or a ``fit_share`` above q of a
            Pareto tail, which holds for what exceeds a threshold only.

    Example:
        >>> marginal = TailedSpline(1, upper={"name": "student", "df": 3.0})
        >>> marginal.fit_rows(torch.linspace(-2, 2, 101).unsqueeze(-1))
        >>> round(float(marginal.cdf(torch.zeros(1, 1))), 2)
        0.5
    """

    knots: Tensor
    heights: Tensor
    slopes: Tensor
    rates: Tensor

    def __init__(
        self,
        event_shape: int | Shape,
        *,
        lower: TailSpec = "gaussian",
        upper: TailSpec = "gaussian",
        tail_share: float = 0.05,
        fit_share: float | None = None,
        bins: int = 16,
        batch_shape: Shape = (),
    ) -> None:
        super().__init__(event_shape, batch_shape=batch_shape)
        self.tails = make_tail(lower), make_tail(upper)
        self.tail_share, self.bins = tail_share, bins
        self.fit_share = tail_share if fit_share is None else fit_share
        check_whole(self, ("bins",), 1)
        if not 0 < tail_share < 0.5 or not tail_share <= self.fit_share <= 0.5:
            raise ValueError(
                f"tail_share must be in (0, .5) and fit_share between it and .5, "
                f"got {tail_share} and {fit_share}"
            )
        if self.fit_share > tail_share and not all(tail.whole for tail in self.tails):
            raise ValueError("a Pareto tail is fitted to what exceeds it: leave fit_share at None")
        size = vector_size(self.event_shape)
        share = torch.linspace(tail_share, 1 - tail_share, bins + 1)
        x = torch.special.ndtri(share)
        density = torch.exp(-x.square() / 2) * (2 * torch.pi) ** -0.5
        # (..., B + 1, 1, D) against rows (..., N, D); the rates of both tails, (..., 2, 1, D)
        for name, values in (("knots", x), ("heights", share), ("slopes", density)):
            whole = values.reshape(-1, 1, 1).expand(*batch_shape, -1, 1, size)
            self.register_buffer(name, whole.clone())
        self.register_buffer("rates", torch.ones(*batch_shape, 2, 1, size))
        ends = (float(density[0]), float(density[-1]))
        for k, tail in enumerate(self.tails):
            self.rates.select(len(batch_shape), k).fill_(ends[k] / self._end_density(tail))

    # -- fitting ---------------------------------------------------------------------------------

    @torch.no_grad()
    def fit_rows(self, x: Tensor, weights: Tensor | None = None) -> None:
        r"""Put knots at quantiles of rows, and fit the rates of the tails.

        Args:
            x: (N, D) or (\*batch_shape, N, D).
            weights: (N,) or (\*batch_shape, N), what rows count; None for one each.
        """
        rows = expand_batch(x, self.batch_shape, 1).double()
        counts = torch.ones_like(rows[..., 0]) if weights is None else weights.to(rows)
        counts = counts.expand(rows.shape[:-1])
        size, n = rows.shape[-1], rows.shape[-2]
        found = [
            [self._fit_column(r[:, d], w) for d in range(size)]
            for r, w in zip(
                rows.reshape(-1, n, size).cpu().numpy(),
                counts.reshape(-1, n).cpu().numpy(),
                strict=True,
            )
        ]
        for name, places in (("knots", self.knots), ("slopes", self.slopes), ("rates", self.rates)):
            made = [[getattr(column, name) for column in part] for part in found]
            stacked = torch.as_tensor(np.array(made)).mT.unsqueeze(-2)
            places.copy_(stacked.reshape(places.shape))

    def _fit_column(self, x: Array, weights: Array) -> "_Column":
        """The spline and the tails of one column."""
        order = np.argsort(x)
        x, weights = x[order], weights[order] / weights.sum()
        middle = np.cumsum(weights) - weights / 2
        share = np.linspace(self.tail_share, 1 - self.tail_share, self.bins + 1)
        knots = np.interp(share, middle, x)
        # equal values would leave a bin without width
        least = 1e-9 * max(1.0, float(np.abs(knots).max()))
        knots = np.maximum.accumulate(knots) + least * np.arange(len(knots))
        rates = [
            self._rate(tail, sign * x, sign * end, weights, sign * edge)
            for tail, sign, end, edge in zip(
                self.tails,
                (-1, 1),
                (knots[0], knots[-1]),
                np.interp((self.fit_share, 1 - self.fit_share), middle, x),
                strict=True,
            )
        ]
        secants = np.diff(share) / np.diff(knots)
        inner = 2 * secants[1:] * secants[:-1] / (secants[1:] + secants[:-1])
        ends = [r * self._end_density(tail) for r, tail in zip(rates, self.tails, strict=True)]
        slopes = np.maximum([ends[0], *inner, ends[1]], LEAST_SLOPE)
        rates = [s / self._end_density(t) for s, t in zip(slopes[[0, -1]], self.tails, strict=True)]
        return _Column(np.asarray(knots, dtype=np.float64), slopes, np.array(rates))

    def _rate(self, tail: Tail, x: Array, end: float, weights: Array, edge: float) -> float:
        """The b of an upper tail by the likelihood of rows beyond an edge, given it."""
        beyond = x >= edge
        if weights[beyond].sum() <= 0 or np.ptp(x[beyond]) == 0:
            return 1.0
        # it changes the filters of warnings, which an import of ours does not
        from scipy.optimize import minimize_scalar

        away = torch.as_tensor(x[beyond] - end)
        count = torch.as_tensor(weights[beyond] / weights[beyond].sum())
        start, first = self._end(tail), torch.tensor(edge - end, dtype=torch.float64)
        unit = float(np.average(np.abs(x[beyond] - edge), weights=weights[beyond]))

        def loss(log_rate: float) -> float:
            rate = float(np.exp(log_rate)) / unit
            given = tail.log_survival(start + rate * first)
            density = tail.log_density(start + rate * away)
            return float((count * (given - density)).sum()) - float(np.log(rate))

        found = minimize_scalar(loss, bounds=(-6.0, 6.0), method="bounded")
        return float(np.exp(found.x)) / unit  # pyright: ignore[reportAttributeAccessIssue]

    def _end(self, tail: Tail) -> Tensor:
        """Where the standard tail has its share q: a."""
        return tail.inverse(torch.tensor(self.tail_share, dtype=torch.float64).log())

    def _end_density(self, tail: Tail) -> float:
        return float(tail.log_density(self._end(tail)).exp())

    # -- the distribution ------------------------------------------------------------------------

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self._logs(x).density.sum(-1).to(x.dtype)

    def _scores(self, x: Tensor, context: Tensor | None) -> Tensor:
        logs = self._logs(x)
        return normal_score(logs.lower, logs.upper).to(x.dtype)

    def _from_scores(self, z: Tensor, context: Tensor | None) -> Tensor:
        return self._inverse(*log_cdf_pair(z.double())).to(z.dtype)

    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor:
        return self._logs(x).lower.exp().to(x.dtype)

    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor:
        share = u.double()
        return self._inverse(share.log(), torch.log1p(-share)).to(u.dtype)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        shape = (*self.batch_shape, n, *self.event_shape)
        like = {"dtype": self.knots.dtype, "device": self.knots.device}
        return self._from_scores(torch.randn(shape, generator=generator, **like), context)

    def _logs(self, x: Tensor) -> _Logs:
        x = x.double()
        knots, heights, slopes = self._spline()
        u, log_slope = rational_quadratic(
            torch.clamp(x, knots[0], knots[-1]), knots, heights, slopes
        )
        body = _Logs(u.log(), torch.log1p(-u), log_slope)
        low = self._tail(0, (knots[0] - x).clamp_min(0))
        high = self._tail(1, (x - knots[-1]).clamp_min(0))
        is_low, is_high = x < knots[0], x > knots[-1]

        def chosen(of_low: Tensor, of_high: Tensor, within: Tensor) -> Tensor:
            return torch.where(is_low, of_low, torch.where(is_high, of_high, within))

        return _Logs(
            chosen(low[0], log1mexp(-high[0]), body.lower),
            chosen(log1mexp(-low[0]), high[0], body.upper),
            chosen(low[1], high[1], body.density),
        )

    def _tail(self, side: int, away: Tensor) -> Pair:
        """Log-survival and log-density at a distance beyond the end."""
        tail, rate = self.tails[side], self._rates(side)
        s = self._end(tail).to(away) + rate * away
        return tail.log_survival(s), tail.log_density(s) + rate.log()

    def _inverse(self, lower: Tensor, upper: Tensor) -> Tensor:
        knots, heights, slopes = self._spline()
        level = float(np.log(self.tail_share))
        u = lower.exp().clamp(self.tail_share, 1 - self.tail_share)
        x, _ = rational_quadratic_inverse(u, knots, heights, slopes)
        ends = []
        for side, log_p in enumerate((lower, upper)):
            tail = self.tails[side]
            away = tail.inverse(log_p.clamp_max(level)) - self._end(tail).to(log_p)
            ends.append(away / self._rates(side))
        x = torch.where(upper < level, knots[-1] + ends[1], x)
        return torch.where(lower < level, knots[0] - ends[0], x)

    def _spline(self) -> tuple[Tensor, Tensor, Tensor]:
        """Knots, heights and slopes, bins first."""
        axis = len(self.batch_shape)
        found = (self.knots, self.heights, self.slopes)
        knots, heights, slopes = (part.double().movedim(axis, 0) for part in found)
        return knots, heights, slopes

    def _rates(self, side: int) -> Tensor:
        return self.rates.double().select(len(self.batch_shape), side)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{super().extra_repr()}, tails={self.tails}"


class _Column(NamedTuple):
    """Knots and slopes of a spline, and the rates of its tails."""

    knots: Array
    slopes: Array
    rates: Array
