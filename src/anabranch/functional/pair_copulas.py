r"""Pair copulas on normal scores: the distribution of one variable given another.

With :math:`u = \Phi(x)` and :math:`v = \Phi(y)`, the h-function
:math:`h(u \mid v) = \partial C(u, v) / \partial v` is a map from the score x to the score
:math:`z = \Phi^{-1}(h(u \mid v))`, and the density of the copula is in its slope:

.. math:: \log c(u, v) = \log\frac{dz}{dx} + \log\varphi(z) - \log\varphi(x)

so that neither u nor v, which run out of digits near zero and one, is ever rounded.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from anabranch.functional.logspace import log1mexp, log1mexpexp, logmlog1mexp, logsoftplus
from anabranch.functional.normal_scores import log_cdf_pair, normal_score
from anabranch.functional.scales import bounded

BOUND = 4.0  # of the raw parameters: correlations to .9993, thetas between .018 and 55
TURNS = {0: (1, 1), 90: (-1, 1), 180: (-1, -1), 270: (1, -1)}
Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class PairCopula(ABC):
    r"""One family of copulas of two variables, with one parameter.

    Args:
        turn: 0, 90, 180 or 270 degrees: with the density :math:`c(1 - u, v)`,
            :math:`c(1 - u, 1 - v)` or :math:`c(u, 1 - v)` for that of the family.

    Raises:
        ValueError: for another turn.

    Source: Joe (2014), "Dependence modeling with copulas"; Aas, Czado, Frigessi, Bakken (2009),
    "Pair-copula constructions of multiple dependence".
    """

    turn: int = 0

    def __post_init__(self) -> None:
        if self.turn not in TURNS:
            raise ValueError(f"turn must be one of {list(TURNS)}, got {self.turn!r}")

    @property
    def start(self) -> float:
        """A raw parameter of weak dependence."""
        return -2.0

    @property
    def swapped(self) -> "PairCopula":
        """The copula of the same two variables in the other order."""
        return replace(self, turn=(360 - self.turn) % 360 if self.turn % 180 else self.turn)

    def parameter(self, raw: Tensor) -> Tensor:
        """What the family calls its parameter, of any real number: here a positive theta."""
        return bounded(raw, BOUND).exp()

    def raw(self, parameter: Tensor) -> Tensor:
        """The real number of a parameter."""
        return BOUND * torch.atanh(parameter.log() / BOUND)

    def given(self, x: Tensor, y: Tensor, raw: Tensor) -> Pair:
        """The score z of x given y, and log dz/dx.

        Args:
            x: scores.
            y: scores of the other variable, of a shape that broadcasts with that of x.
            raw: the real number that the parameter is made of, of such a shape too.

        Returns:
            Two tensors of the common shape.
        """
        a, b = TURNS[self.turn]
        z, log_slope = self._given(a * x, b * y, raw)
        return a * z, log_slope

    def ungiven(self, z: Tensor, y: Tensor, raw: Tensor) -> Pair:
        """The x whose score given y is z, and log dx/dz; arguments as in `given`."""
        a, b = TURNS[self.turn]
        x, log_slope = self._ungiven(a * z, b * y, raw)
        return a * x, log_slope

    def log_density(self, x: Tensor, y: Tensor, raw: Tensor) -> Tensor:
        """The logarithm of the copula's density c, in nats; arguments as in `given`."""
        z, log_slope = self.given(x, y, raw)
        return log_slope + (x.square() - z.square()) / 2

    @abstractmethod
    def _given(self, x: Tensor, y: Tensor, raw: Tensor) -> Pair: ...

    @abstractmethod
    def _ungiven(self, z: Tensor, y: Tensor, raw: Tensor) -> Pair: ...


@dataclass(frozen=True)
class GaussianPair(PairCopula):
    r"""That of two correlated normals: a hyperbolic rotation of the scores.

    .. math:: z = \frac{x - \rho y}{\sqrt{1 - \rho^2}} = x \cosh r - y \sinh r, \qquad
        \rho = \tanh r

    Example:
        >>> pair = GaussianPair()
        >>> z, log_slope = pair.given(torch.ones(1), torch.ones(1), pair.raw(torch.tensor([0.6])))
        >>> z, log_slope.exp()
        (tensor([0.5000]), tensor([1.2500]))
    """

    @property
    def start(self) -> float:
        """Independence."""
        return 0.0

    def parameter(self, raw: Tensor) -> Tensor:
        """The correlation."""
        return torch.tanh(bounded(raw, BOUND))

    def raw(self, parameter: Tensor) -> Tensor:
        """The real number of a correlation."""
        return BOUND * torch.atanh(torch.atanh(parameter) / BOUND)

    def _given(self, x: Tensor, y: Tensor, raw: Tensor) -> Pair:
        r = bounded(raw, BOUND)
        z = x * torch.cosh(r) - y * torch.sinh(r)
        return z, torch.cosh(r).log().expand_as(z)

    def _ungiven(self, z: Tensor, y: Tensor, raw: Tensor) -> Pair:
        r = bounded(raw, BOUND)
        x = z / torch.cosh(r) + y * torch.tanh(r)
        return x, -torch.cosh(r).log().expand_as(x)


@dataclass(frozen=True)
class ClaytonPair(PairCopula):
    r"""Dependence that is strong where both are small.

    .. math:: C(u, v) = (u^{-\theta} + v^{-\theta} - 1)^{-1/\theta}, \qquad \theta > 0

    In :math:`g = \log(-\log u)` the h-function is
    :math:`g_z = \log(1 + 1/\theta) + k^{-1}(k(\log\theta + g_x) - \theta e^{g_y})` with
    :math:`k(t) = \log(\exp(e^t) - 1)`. Kendall's tau is :math:`\theta / (\theta + 2)`.

    Source: Clayton (1978), "A model for association in bivariate life tables".

    Example:
        >>> pair = ClaytonPair()
        >>> half = torch.zeros(1)  # c(1/2, 1/2) = 3 * 4**3 / 7**2.5 with theta = 2
        >>> pair.log_density(half, half, pair.raw(torch.tensor([2.0]))).exp()
        tensor([1.4810])
    """

    def _given(self, x: Tensor, y: Tensor, raw: Tensor) -> Pair:
        log_theta, shift = _clayton_parts(raw, y)
        g, log_slope_x = _to_gumbel(x.double())
        t = log_theta + g
        inner = logsoftplus(t.exp() + log1mexpexp(t) - shift)
        z, log_slope_z = _from_gumbel(softplus(-log_theta) + inner)
        log_slope = log_slope_x + (t - log1mexpexp(t)) - (inner - log1mexpexp(inner)) + log_slope_z
        return z.to(x.dtype), log_slope.to(x.dtype)

    def _ungiven(self, z: Tensor, y: Tensor, raw: Tensor) -> Pair:
        log_theta, shift = _clayton_parts(raw, y)
        g, log_slope_z = _to_gumbel(z.double())
        inner = g - softplus(-log_theta)
        t = logsoftplus(inner.exp() + log1mexpexp(inner) + shift)
        x, log_slope_x = _from_gumbel(t - log_theta)
        log_slope = log_slope_z + (inner - log1mexpexp(inner)) - (t - log1mexpexp(t)) + log_slope_x
        return x.to(z.dtype), log_slope.to(z.dtype)


@dataclass(frozen=True)
class FrankPair(PairCopula):
    r"""Dependence that is alike in both tails, and weak there.

    .. math:: C(u, v) = -\frac1\theta \log\Bigl(1 - \frac{(1 - e^{-\theta u})(1 - e^{-\theta v})}
        {1 - e^{-\theta}}\Bigr), \qquad
        \operatorname{logit} h = \theta (u - v)
        + \log\frac{1 - e^{-\theta u}}{1 - e^{-\theta (1 - u)}}

    Only :math:`\theta > 0`; a turn by 90 degrees is the negative one.

    Source: Frank (1979), "On the simultaneous associativity of F(x, y) and x + y - F(x, y)".

    Example:
        >>> pair = FrankPair()
        >>> raw = pair.raw(torch.tensor([3.0]))
        >>> z, _ = pair.given(torch.tensor([1.0]), torch.tensor([-1.0]), raw)
        >>> pair.ungiven(z, torch.tensor([-1.0]), raw)[0]
        tensor([1.])
    """

    def _given(self, x: Tensor, y: Tensor, raw: Tensor) -> Pair:
        log_theta = bounded(raw.double(), BOUND)
        theta = log_theta.exp()
        (log_u, log_1mu), log_v = log_cdf_pair(x.double()), torch.special.log_ndtr(y.double())
        low, high = log1mexpexp(log_theta + log_u), log1mexpexp(log_theta + log_1mu)
        logit = theta * (log_u.exp() - log_v.exp()) + low - high
        parts = logsigmoid(logit), logsigmoid(-logit)
        z = normal_score(*parts)
        gain = log_theta + log1mexp(theta) - low - high + parts[0] + parts[1]
        log_slope = gain + (z.square() - x.double().square()) / 2
        return z.to(x.dtype), log_slope.to(x.dtype)

    def _ungiven(self, z: Tensor, y: Tensor, raw: Tensor) -> Pair:
        log_theta = bounded(raw.double(), BOUND)
        theta = log_theta.exp()
        parts = log_cdf_pair(z.double())
        s = parts[0] - parts[1] + theta * torch.special.ndtr(y.double())
        low, high = (logsigmoid(t) + log1mexp(theta) for t in (s, theta - s))
        x = normal_score(logmlog1mexp(low) - log_theta, logmlog1mexp(high) - log_theta)
        gain = log_theta + log1mexp(theta) - low - high + parts[0] + parts[1]
        log_slope = (x.square() - z.double().square()) / 2 - gain
        return x.to(z.dtype), log_slope.to(z.dtype)


FAMILIES = {"gaussian": GaussianPair, "clayton": ClaytonPair, "frank": FrankPair}


def pair_copula(name: str) -> PairCopula:
    """A family by its name, with the degrees of its turn behind it.

    Raises:
        ValueError: for an unknown family or turn.

    Example:
        >>> pair_copula("clayton180")
        ClaytonPair(turn=180)
    """
    family = name.rstrip("0123456789")
    turn = int(name[len(family) :] or 0)
    if family not in FAMILIES or turn not in TURNS:
        raise ValueError(
            f"a pair copula is one of {sorted(FAMILIES)}, with 90, 180 or 270 behind it where it "
            f"is turned, got {name!r}"
        )
    return FAMILIES[family](turn)


def _clayton_parts(raw: Tensor, y: Tensor) -> Pair:
    r""":math:`\log\theta` and :math:`-\theta \log v`."""
    log_theta = bounded(raw.double(), BOUND)
    return log_theta, -log_theta.exp() * torch.special.log_ndtr(y.double())


def _to_gumbel(x: Tensor) -> Pair:
    r""":math:`g = \log(-\log\Phi(x))` and :math:`\log(-dg/dx)`."""
    below = x < 0
    log_tail = torch.special.log_ndtr(torch.where(below, x, -x))
    g = torch.where(below, (-log_tail).log(), logmlog1mexp(log_tail))
    return g, _log_slope(x, g)


def _from_gumbel(g: Tensor) -> Pair:
    """The score of g, and log(-dx/dg)."""
    x = normal_score(-g.exp(), log1mexpexp(g))
    return x, -_log_slope(x, g)


def _log_slope(x: Tensor, g: Tensor) -> Tensor:
    return -x.square() / 2 - 0.5 * math.log(2 * math.pi) + g.exp() - g
