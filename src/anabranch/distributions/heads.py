"""Heads: the distribution of one number, given its parameters.

A head is to `AutoregressiveModel` what a scalar map is to `Autoregressive`: pure functions and a
count of parameters. The structure decides where the parameters come from, never which head it is.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import torch
from torch import Tensor
from torch.nn.functional import softplus

from anabranch.contracts.domain import REAL, Domain, Integers
from anabranch.functional import bounded
from anabranch.functional.numbers import check_positive, check_whole
from anabranch.functional.roots import find_root, implicit


@dataclass(frozen=True)
class Head(ABC):
    r"""A distribution of one number with ``n_params`` parameters.

    ``params`` has shape (n_params, \*x.shape), or one that broadcasts to it.
    """

    @property
    def domain(self) -> Domain:
        """Where the number lives."""
        return REAL

    @property
    @abstractmethod
    def n_params(self) -> int:
        """How many parameters one number needs."""

    @abstractmethod
    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        """Log-density (or log-probability) of x in nats, elementwise."""

    @abstractmethod
    def sample(self, params: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One draw for each set of parameters, of shape params.shape[1:]."""

    @abstractmethod
    def cdf(self, x: Tensor, params: Tensor) -> Tensor:
        """The probability of a number at most that large, elementwise."""

    @abstractmethod
    def icdf(self, u: Tensor, params: Tensor) -> Tensor:
        """The least number with at least that share of probability at or below it, elementwise."""


@dataclass(frozen=True)
class Bernoulli(Head):
    r"""A bit, :math:`p(x = 1) = \mathrm{sigm}(\theta)`.

    Example:
        >>> Bernoulli().log_prob(torch.tensor([0.0, 1.0]), torch.zeros(1, 2))
        tensor([-0.6931, -0.6931])
    """

    @property
    def domain(self) -> Domain:
        """The numbers 0 and 1."""
        return Integers(2)

    @property
    def n_params(self) -> int:
        """One: the logit."""
        return 1

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        """Log-probability of bits. (A compiled model does not look at the values.)

        Raises:
            ValueError: for a value other than 0 and 1, whose probability is zero.
        """
        _check_bits(x)
        return x * params[0] - softplus(params[0])

    def sample(self, params: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw bits; they carry no gradients."""
        return torch.bernoulli(torch.sigmoid(params[0].detach()), generator=generator)

    def cdf(self, x: Tensor, params: Tensor) -> Tensor:
        """Zero below 0, the probability of a zero below 1, then one."""
        zero = torch.where(x < 0, 0.0, torch.sigmoid(-params[0]))
        return torch.where(x < 1, zero, 1.0)

    def icdf(self, u: Tensor, params: Tensor) -> Tensor:
        """One where u is above the probability of a zero."""
        return (u > torch.sigmoid(-params[0])).to(u.dtype)

    def tempered(self, params: Tensor, temperature: float) -> Tensor:
        """The parameters of a bit whose probabilities are raised to the power 1 / temperature."""
        return params / temperature


@dataclass(frozen=True)
class MixtureHead(Head):
    r"""A mixture of K densities of one family, each with a weight, a mean and a bounded log-scale.

    .. math:: p(x) = \sum_k \mathrm{softmax}(\theta)_k\; \frac1{s_k}
        p_0\Bigl(\frac{x - m_k - \mu_k}{s_k}\Bigr), \qquad s_k = s\, e^{b \tanh(r_k / b)}

    ``params`` holds the K logits, then the K means :math:`\mu_k`, then the K raw log-scales. The
    offsets :math:`m_k` are quantiles of the normal, so that components part from each other, and s
    gives the mixture unit variance, both at zero parameters.

    Args:
        components: K.
        bound: largest |log-scale| b beside s: no component becomes a spike.

    Raises:
        ValueError: for fewer than one component, or a bound that is not positive.
    """

    components: int = 10
    bound: float = 5.0

    def __post_init__(self) -> None:
        check_whole(self, ("components",), 1)
        check_positive(self, ("bound",))

    @property
    def n_params(self) -> int:
        """Three for each component: logit, mean, raw log-scale."""
        return 3 * self.components

    def log_prob(self, x: Tensor, params: Tensor) -> Tensor:
        """Log-density, elementwise."""
        logits, loc, log_scale = self._parts(params)
        z = (x - loc) * torch.exp(-log_scale)
        joint = logits - log_scale + self._standard_log_prob(z)
        return torch.logsumexp(joint, 0) - torch.logsumexp(logits, 0)

    def sample(self, params: Tensor, generator: torch.Generator | None = None) -> Tensor:
        r"""Draw; where gradients are on, they are those of the quantile at fixed probability.

        With F the cumulative distribution function and f the density,
        :math:`\partial x / \partial \theta = -(\partial F / \partial \theta) / f(x)`.

        Source: Figurnov, Mohamed, Mnih (2018), "Implicit reparameterization gradients",
        arXiv:1805.08498.
        """
        logits, loc, log_scale = self._parts(params)
        with torch.no_grad():
            chosen = _categorical(logits, generator)
            noise = self._standard_sample(chosen.shape[1:], loc, generator)
            x = loc.gather(0, chosen)[0] + log_scale.gather(0, chosen)[0].exp() * noise
        if not torch.is_grad_enabled():
            return x
        share = self._below(x, logits, loc, log_scale).detach()
        density = self.log_prob(x, params).exp()
        return implicit(lambda x: self._below(x, logits, loc, log_scale), x, share, density)

    def cdf(self, x: Tensor, params: Tensor) -> Tensor:
        """The components' distribution functions, weighted."""
        return self._below(x, *self._parts(params))

    def icdf(self, u: Tensor, params: Tensor) -> Tensor:
        """By search between the quantiles of the components, with exact gradients."""
        share = u.double().expand(torch.broadcast_shapes(u.shape, params.shape[1:]))
        parts = self._parts(params.double())
        fixed = [part.detach() for part in parts]
        quantiles = fixed[1] + fixed[2].exp() * self._standard_icdf(share.detach())
        root = find_root(
            lambda x: self._below(x, *fixed),
            share,
            lower=quantiles.amin(0),
            upper=quantiles.amax(0),
        )
        density = self.log_prob(root, params.double()).exp()
        return implicit(lambda x: self._below(x, *parts), root, share, density).to(u.dtype)

    def _below(self, x: Tensor, logits: Tensor, loc: Tensor, log_scale: Tensor) -> Tensor:
        z = (x - loc) * torch.exp(-log_scale)
        return (torch.softmax(logits, 0) * self._standard_cdf(z)).sum(0)

    @property
    @abstractmethod
    def _variance(self) -> float:
        """Of the standard member of the family."""

    @abstractmethod
    def _standard_log_prob(self, z: Tensor) -> Tensor: ...

    @abstractmethod
    def _standard_cdf(self, z: Tensor) -> Tensor: ...

    @abstractmethod
    def _standard_icdf(self, u: Tensor) -> Tensor: ...

    @abstractmethod
    def _standard_sample(
        self, shape: torch.Size, like: Tensor, generator: torch.Generator | None
    ) -> Tensor: ...

    @cached_property
    def _offsets(self) -> list[float]:
        normal = NormalDist()
        return [normal.inv_cdf((k + 0.5) / self.components) for k in range(self.components)]

    @cached_property
    def _log_scale(self) -> float:
        within = 1.0 - sum(m * m for m in self._offsets) / self.components
        return 0.5 * math.log(within / self._variance)

    def _parts(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, means and log-scales, each with the components on the leading axis."""
        logits, loc, raw = params.unflatten(0, (3, self.components)).unbind(0)
        offsets = torch.tensor(self._offsets, dtype=loc.dtype, device=loc.device)
        loc = loc + offsets.reshape(-1, *(1,) * (loc.ndim - 1))
        return logits, loc, bounded(raw, self.bound) + self._log_scale


@dataclass(frozen=True)
class GaussianMixtureHead(MixtureHead):
    r"""A mixture of Gaussians in one dimension; see `MixtureHead`.

    Source: Uria, Murray, Larochelle (2013), "RNADE", arXiv:1306.0186; Bishop (1994), "Mixture
    density networks".

    Example:
        >>> GaussianMixtureHead(1).log_prob(torch.zeros(1), torch.zeros(3, 1))
        tensor([-0.9189])
    """

    @property
    def _variance(self) -> float:
        return 1.0

    def _standard_log_prob(self, z: Tensor) -> Tensor:
        return z.square().mul(-0.5).sub(0.5 * math.log(2 * math.pi))

    def _standard_cdf(self, z: Tensor) -> Tensor:
        return torch.special.ndtr(z)

    def _standard_icdf(self, u: Tensor) -> Tensor:
        return torch.special.ndtri(u)

    def _standard_sample(
        self, shape: torch.Size, like: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        return torch.randn(shape, dtype=like.dtype, device=like.device, generator=generator)


@dataclass(frozen=True)
class LaplaceMixtureHead(MixtureHead):
    r"""A mixture of Laplace densities in one dimension; see `MixtureHead`.

    Source: Uria, Murray, Larochelle (2013), "RNADE", arXiv:1306.0186.

    Example:
        >>> LaplaceMixtureHead(1).log_prob(torch.zeros(1), torch.zeros(3, 1))
        tensor([-0.3466])
    """

    @property
    def _variance(self) -> float:
        return 2.0

    def _standard_log_prob(self, z: Tensor) -> Tensor:
        return -z.abs() - math.log(2.0)

    def _standard_cdf(self, z: Tensor) -> Tensor:
        return 0.5 - 0.5 * z.sign() * torch.expm1(-z.abs())

    def _standard_icdf(self, u: Tensor) -> Tensor:
        return -(u - 0.5).sign() * torch.log1p(-2 * (u - 0.5).abs())

    def _standard_sample(
        self, shape: torch.Size, like: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        u = torch.rand(shape, dtype=like.dtype, device=like.device, generator=generator)
        u = (u - 0.5).clamp_min(0.5 * torch.finfo(u.dtype).eps - 0.5)  # rand can return 0
        return -u.sign() * torch.log1p(-2 * u.abs())


def make_head(name: str, components: int = 10) -> Head:
    """The head of that name.

    Args:
        name: "bernoulli", "gaussians" or "laplacians".
        components: of the mixtures.

    Raises:
        ValueError: for an unknown name.

    Example:
        >>> make_head("gaussians", 5)
        GaussianMixtureHead(components=5, bound=5.0)
    """
    if name == "bernoulli":
        return Bernoulli()
    if name == "gaussians":
        return GaussianMixtureHead(components)
    if name == "laplacians":
        return LaplaceMixtureHead(components)
    raise ValueError(f"head must be 'bernoulli', 'gaussians' or 'laplacians', got {name!r}")


def _categorical(logits: Tensor, generator: torch.Generator | None) -> Tensor:
    """One draw of the leading axis for each place, (1, *logits.shape[1:])."""
    cumulated = torch.softmax(logits, 0).cumsum(0)
    u = torch.rand(
        (1, *logits.shape[1:]), dtype=logits.dtype, device=logits.device, generator=generator
    )
    # times the last sum, which rounding may keep from one
    return (cumulated[:-1] < u * cumulated[-1:]).sum(0, keepdim=True)


def _check_bits(x: Tensor) -> None:
    if x.device.type == "meta" or torch.compiler.is_compiling():
        return
    other = (x != 0) & (x != 1)
    if bool(other.any()):
        value = float(x[other][0])
        raise ValueError(f"x must hold 0 and 1 only, got {value:g}: its probability is zero")
