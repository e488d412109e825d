"""Heads for the integers 0..levels-1, such as grey levels."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid

from anabranch.contracts.domain import Domain, Integers
from anabranch.distributions.heads import Bernoulli, Head
from anabranch.functional import bounded, log1mexp
from anabranch.functional.modes import traced
from anabranch.functional.numbers import check_positive, check_whole


@dataclass(frozen=True)
class LevelHead(Head):
    """A distribution of an integer 0..levels-1.

    Args:
        levels: how many integers there are, at least two.

    Raises:
        ValueError: for fewer.
    """

    levels: int

    def __post_init__(self) -> None:
        check_whole(self, ("levels",), 2)

    @property
    def domain(self) -> Domain:
        """The integers 0..levels-1."""
        return Integers(self.levels)

    def log_probs(self, params: Tensor) -> Tensor:
        r"""Log-probabilities of all levels, (levels, \*params.shape[1:])."""
        levels = torch.arange(self.levels, dtype=params.dtype, device=params.device)
        levels = levels.reshape(-1, *(1,) * (params.ndim - 1))
        return self.log_prob(levels, params.unsqueeze(1))

    def sample(self, params: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw levels by their distribution function; they carry no gradients."""
        shape = params.shape[1:]
        u = torch.rand(shape, generator=generator, dtype=params.dtype, device=params.device)
        return self.icdf(u, params.detach())

    def cdf(self, x: Tensor, params: Tensor) -> Tensor:
        """The sum over the levels up to x."""
        below = torch.arange(self.levels, device=x.device).reshape(-1, *(1,) * x.ndim) <= x
        return (self.log_probs(params).exp() * below).sum(0).clamp_max(1.0)

    def icdf(self, u: Tensor, params: Tensor) -> Tensor:
        """The first level at which the sum of the probabilities reaches u."""
        sums = self.log_probs(params).exp().cumsum(0)
        # times the last sum, which rounding may keep from one
        return (sums[:-1] < u * sums[-1:]).sum(0).to(u.dtype)


@dataclass(frozen=True)
class Categorical(LevelHead):
    r"""Any distribution of the levels, :math:`p(x = l) = \mathrm{softmax}(\theta)_l`.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), arXiv:1601.06759.

    Example:
        >>> Categorical(4).log_prob(torch.tensor([3.0]), torch.zeros(4, 1))
        tensor([-1.3863])
    """

    @property
    def n_params(self) -> int:
        """A logit for each level."""
        return self.levels

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        """Log-probability of levels.

        Raises:
            ValueError: for a value that is no level.
        """
        check_levels(x, self.levels)
        x, _ = torch.broadcast_tensors(x, params[0])
        logits = params.movedim(0, -1).expand(*x.shape, self.levels)
        flat = logits.reshape(-1, self.levels)
        return -cross_entropy(flat, x.long().reshape(-1), reduction="none").reshape(x.shape)

    def log_probs(self, params: Tensor) -> Tensor:
        r"""Log-probabilities of all levels, (levels, \*params.shape[1:])."""
        return torch.log_softmax(params, 0)

    def tempered(self, params: Tensor, temperature: float) -> Tensor:
        """The parameters of probabilities raised to the power 1 / temperature."""
        return params / temperature


@dataclass(frozen=True)
class DiscretizedLogistics(LevelHead):
    r"""A mixture of K logistics, of which a level has what falls into its cell.

    .. math:: P(x) = \sum_k \pi_k \Bigl[\sigma\Bigl(\frac{x + \frac12 - \mu_k}{s_k}\Bigr)
        - \sigma\Bigl(\frac{x - \frac12 - \mu_k}{s_k}\Bigr)\Bigr], \qquad
        s_k = s\, e^{b \tanh(r_k / b)}

    The first and the last cell reach to infinity. ``params`` holds K logits, K means in units of
    half the range, and K raw log-scales; at zero the means part the range among them.

    Source: Salimans, Karpathy, Chen, Kingma (2017), "PixelCNN++", arXiv:1701.05517.

    Args:
        levels: how many integers there are.
        components: K.
        bound: largest \|log-scale\| b beside s, which is the range over 2 K.

    Raises:
        ValueError: for fewer than two levels or one component, or a bound that is not positive.

    Example:
        >>> head = DiscretizedLogistics(8, components=2)
        >>> round(float(head.log_probs(torch.zeros(6, 1)).exp().sum()), 5)
        1.0
    """

    components: int = 10
    bound: float = 7.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, ("components",), 1)
        check_positive(self, ("bound",))

    @property
    def n_params(self) -> int:
        """Three for each component: logit, mean, raw log-scale."""
        return 3 * self.components

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        """Log-probability of levels, stable however narrow a component or far its mean.

        Raises:
            ValueError: for a value that is no level.
        """
        check_levels(x, self.levels)
        logits, middle, rate = self._parts(params)
        upper = (x - middle + 0.5) * rate
        lower = upper - rate
        # sigma(u) - sigma(l) is sigma(u) sigma(-l) (1 - exp(l - u)); the ends have one factor
        first, last = x == 0, x == self.levels - 1
        above = torch.where(last, 0.0, logsigmoid(upper))
        below = torch.where(first, 0.0, logsigmoid(-lower))
        cell = torch.where(first | last, 0.0, log1mexp(rate))
        joint = logits + above + below + cell
        return torch.logsumexp(joint, 0) - torch.logsumexp(logits, 0)

    def sample(self, params: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw a component, then a logistic, then its cell."""
        logits, middle, rate = self._parts(params.detach())
        sums = torch.softmax(logits, 0).cumsum(0)
        shape, like = (2, *params.shape[1:]), {"dtype": params.dtype, "device": params.device}
        choice, u = torch.rand(shape, generator=generator, **like).unbind(0)
        chosen = (sums[:-1] < choice * sums[-1:]).sum(0, keepdim=True)
        tiny = torch.finfo(u.dtype).tiny  # rand can return 0, whose logit is infinite
        noise = u.clamp_min(tiny).log() - torch.log1p(-u)
        x = middle.gather(0, chosen)[0] + noise / rate.gather(0, chosen)[0]
        return x.round().clamp(0, self.levels - 1)

    def _parts(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, means and inverse scales in units of levels, components on the first axis."""
        logits, middle, log_scale = params.unflatten(0, (3, self.components)).unbind(0)
        half = 0.5 * (self.levels - 1)
        offsets = torch.arange(self.components, dtype=middle.dtype, device=middle.device)
        offsets = (offsets + 0.5) * (2 / self.components) - 1
        middle = half + half * (middle + offsets.reshape(-1, *(1,) * (middle.ndim - 1)))
        return logits, middle, torch.exp(-bounded(log_scale, self.bound)) * self.components / half

    def tempered(self, params: Tensor, temperature: float) -> Tensor:
        """Weights to the power 1 / temperature, and scales by the temperature."""
        logits, middle, raw = params.unflatten(0, (3, self.components)).unbind(0)
        # through the bound: raw' of b tanh(raw' / b) = b tanh(raw / b) + log temperature
        share = (torch.tanh(raw / self.bound) + math.log(temperature) / self.bound).clamp(-1, 1)
        share = share.clamp(-1 + 1e-6, 1 - 1e-6)
        return torch.cat([logits / temperature, middle, self.bound * torch.atanh(share)])


@dataclass(frozen=True)
class Tempered(Head):
    r"""Another head at a temperature: below one it keeps to what is likely.

    For bits and categories, :math:`p_T(x) \propto p(x)^{1/T}`.

    Args:
        head: of bits or levels.
        temperature: T.

    Raises:
        ValueError: for a temperature that is not positive.

    Example:
        >>> Tempered(Bernoulli(), 0.5).log_prob(torch.ones(1), torch.ones(1, 1)).exp()
        tensor([0.8808])
    """

    head: "Bernoulli | Categorical | DiscretizedLogistics"
    temperature: float

    def __post_init__(self) -> None:
        check_positive(self, ("temperature",))

    @property
    def domain(self) -> Domain:
        """As of the head."""
        return self.head.domain

    @property
    def n_params(self) -> int:
        """As of the head."""
        return self.head.n_params

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        """Log-probability of levels, elementwise."""
        return self.head.log_prob(x, self._tempered(params))

    def sample(self, params: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One draw for each set of parameters."""
        return self.head.sample(self._tempered(params), generator)

    def cdf(self, x: Tensor, params: Tensor) -> Tensor:
        """The probability of a number at most that large, elementwise."""
        return self.head.cdf(x, self._tempered(params))

    def icdf(self, u: Tensor, params: Tensor) -> Tensor:
        """The least level with at least that share of probability at or below it."""
        return self.head.icdf(u, self._tempered(params))

    def _tempered(self, params: Tensor) -> Tensor:
        return self.head.tempered(params, self.temperature)


HEADS = ("softmax", "logistics")


def make_level_head(
    levels: int, name: str | None = None, components: int = 10
) -> "Bernoulli | Categorical | DiscretizedLogistics":
    """The head of images whose numbers are 0..levels-1; one logit for bits.

    Args:
        levels: how many integers there are.
        name: "softmax", or "logistics" for a mixture; None for softmax up to 256 levels.
        components: of the mixture.

    Raises:
        ValueError: for an unknown name, or fewer than two levels.

    Example:
        >>> make_level_head(2), make_level_head(16)
        (Bernoulli(), Categorical(levels=16))
    """
    if name not in (None, *HEADS):
        raise ValueError(f"head must be one of {HEADS} or None, got {name!r}")
    if name == "logistics":
        return DiscretizedLogistics(levels, components)
    return Bernoulli() if levels == 2 else Categorical(levels)


def check_levels(x: Tensor, levels: int) -> None:
    """Refuse numbers that are no level. (A compiled model does not look at the values.)

    Raises:
        ValueError: naming the first that is none.

    Example:
        >>> check_levels(torch.tensor([0.5]), 4)
        Traceback (most recent call last):
        ValueError: x must hold the integers 0..3 only, got 0.5
    """
    if x.device.type == "meta" or traced():
        return
    other = (x < 0) | (x > levels - 1) | (x != x.round())
    if bool(other.any()):
        raise ValueError(
            f"x must hold the integers 0..{levels - 1} only, got {float(x[other][0]):g}"
        )
