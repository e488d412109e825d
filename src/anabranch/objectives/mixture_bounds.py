"""Bounds of log p(x) by a mixture in a latent space, and estimators of their gradients."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from anabranch.functional import normal_log_prob
from anabranch.functional.draws import gumbel_draws, normal_draws, one_hot_of_largest
from anabranch.networks import MLP
from anabranch.objectives.elbo import elbo_enumerated
from anabranch.objectives.importance import iwae, nvil, vimco

# How fast the running size of NVIL's signals follows.
SPREAD_DECAY = 0.05
BoundSpec = str | Mapping[str, object]


class LatentPrior(Protocol):
    """The distributions p(z|y) of a mixture in a latent space."""

    def log_prob(self, z: Tensor, y: Tensor) -> Tensor:
        r"""Log p(z|y) of columns z (L, \*lead, N) and one-hot y (K, \*lead, N), (\*lead, N)."""
        ...

    def log_prob_of_each(self, z: Tensor) -> Tensor:
        """The same for each label, (M, K, N), of columns (L, M, K, N) or (L, M, 1, N)."""
        ...


class LatentMixture(Protocol):
    r"""A mixture in a latent space, and q, as a bound sees them; rows stand in columns.

    .. math:: p(x, y, z) = \tfrac1K\, p(z \mid y)\, p(x \mid z), \qquad
        q(y, z \mid x) = q(y \mid x)\, q(z \mid y, x)

    With ``half`` networks are evaluated in bfloat16; what they give is in the precision of x.
    """

    @property
    def n_components(self) -> int:
        """K."""
        ...

    @property
    def latent(self) -> int:
        """L."""
        ...

    @property
    def structured(self) -> bool:
        """Whether q(z|y,x) depends on y."""
        ...

    @property
    def prior(self) -> LatentPrior:
        """The distributions p(z|y)."""
        ...

    def logits(self, x: Tensor, *, half: bool = False) -> Tensor:
        """Logits of q(y|x) of rows (N, D), (K, N)."""
        ...

    def posterior(
        self, x: Tensor, y: Tensor | None = None, *, half: bool = False
    ) -> tuple[Tensor, Tensor]:
        r"""Mean and standard deviation of q(z|y,x) of columns.

        Args:
            x: (D, N).
            y: one-hot labels (K, M, N) for (L, M, N); None for all, (L, K, N), or (L, 1, N) where
                q(z|x) has none.
            half: see above.
        """
        ...

    def log_likelihood(self, x: Tensor, z: Tensor, *, half: bool = False) -> Tensor:
        r"""Log p(x|z) of columns x (D, N) and z (L, \*lead, N), (\*lead, N)."""
        ...


def log_weights(
    model: LatentMixture,
    x: Tensor,
    log_q: Tensor,
    y: Tensor,
    noise: Tensor,
    *,
    reparameterized: bool = True,
    half: bool = False,
) -> tuple[Tensor, Tensor]:
    r"""Log-weights of draws, and the log-probability of what was drawn without gradients.

    Args:
        model: the densities.
        x: columns (D, N).
        log_q: log q(y|x), (K, N).
        y: one-hot labels (K, M, N).
        noise: standard normal draws (L, M, N), which become draws of z.
        reparameterized: whether gradients flow through z; else it is taken as given.
        half: evaluate networks in bfloat16.

    Returns:
        :math:`\log p(x, y, z) - \log q(y, z \mid x)`, and the score, (M, N) each.
    """
    loc, scale = model.posterior(x, y, half=half)
    z = loc + scale * noise
    if not reparameterized:
        z = z.detach()
    log_q_y = (y * log_q.unsqueeze(1)).sum(0)
    log_q_z = normal_log_prob(z, loc, scale)
    log_p = model.log_likelihood(x, z, half=half) + model.prior.log_prob(z, y)
    log_w = log_p - log_q_z - log_q_y - math.log(model.n_components)
    return log_w, log_q_y if reparameterized else log_q_y + log_q_z


class MixtureBound(nn.Module, ABC):
    """A lower bound of log p(x), and an estimator of its gradient; abstract.

    Args:
        samples: M, draws per row.

    Raises:
        ValueError: for fewer samples than the bound needs.
    """

    least = 1

    def __init__(self, samples: int) -> None:
        super().__init__()
        if samples < self.least:
            raise ValueError(
                f"samples must be at least {self.least} for {type(self).__name__}, got {samples}"
            )
        self.samples = samples

    @abstractmethod
    def forward(
        self,
        model: LatentMixture,
        x: Tensor,
        log_q: Tensor,
        generator: torch.Generator | None = None,
        *,
        half: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """The bound of columns x (D, N) given log q(y|x) (K, N), and what has its gradient.

        Args:
            model: the densities.
            x: columns (D, N).
            log_q: log q(y|x), (K, N).
            generator: source of the draws, on the device of x.
            half: evaluate networks in bfloat16.

        Returns:
            The bound without a meaning of its gradient, and a surrogate whose gradient is that of
            the estimator, (N,) each, in nats.
        """

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"samples={self.samples}"


class Enumerated(MixtureBound):
    r"""The bound with y summed over exactly, and z reparameterised.

    .. math:: \sum_y q(y \mid x) \left[ E_{q(z \mid y, x)} \log w \right]

    Args:
        samples: M, draws of z for each y.
        importance: whether a bound of the M draws, :math:`\log \frac1M \sum_m w_m`, stands in place
            of their mean.

    Source: Kingma, Mohamed, Rezende, Welling (2014), "Semi-supervised learning with deep generative
    models", arXiv:1406.5298; Burda, Grosse, Salakhutdinov (2015), arXiv:1509.00519.

    Example:
        >>> Enumerated(5, importance=True)
        Enumerated(samples=5, importance=True)
    """

    def __init__(self, samples: int = 1, *, importance: bool = False) -> None:
        super().__init__(samples)
        self.importance = importance

    def forward(
        self,
        model: LatentMixture,
        x: Tensor,
        log_q: Tensor,
        generator: torch.Generator | None = None,
        *,
        half: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """The bound, twice; see `MixtureBound`."""
        n_labels = model.n_components if model.structured else 1
        shape = (model.latent, self.samples, n_labels, x.shape[1])
        bound = self.at(model, x, log_q, normal_draws(shape, x, generator), half=half)
        return bound, bound

    def at(
        self,
        model: LatentMixture,
        x: Tensor,
        log_q: Tensor,
        noise: Tensor,
        *,
        half: bool = False,
    ) -> Tensor:
        """The bound at given noise, (N,) in nats.

        Args:
            model: the densities.
            x: columns (D, N).
            log_q: log q(y|x), (K, N).
            noise: standard normal draws (L, M, K, N), or (L, M, 1, N) where q(z|x) has no y.
            half: evaluate networks in bfloat16.
        """
        loc, scale = (value.unsqueeze(1) for value in model.posterior(x, half=half))
        z = loc + scale * noise
        log_w = model.log_likelihood(x, z, half=half) + model.prior.log_prob_of_each(z)
        log_w = log_w - normal_log_prob(z, loc, scale)  # (M, K, N)
        inner = iwae(log_w) if self.importance else log_w.mean(0)
        return elbo_enumerated(inner - math.log(model.n_components), log_q)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{super().extra_repr()}, importance={self.importance}"


class Sampled(MixtureBound):
    """A bound of M draws of (y, z) from q; abstract.

    Args:
        samples: M.
        reparameterized: whether gradients flow through z; else it is taken as given, like y.
    """

    def __init__(self, samples: int, *, reparameterized: bool) -> None:
        super().__init__(samples)
        self.reparameterized = reparameterized

    def forward(
        self,
        model: LatentMixture,
        x: Tensor,
        log_q: Tensor,
        generator: torch.Generator | None = None,
        *,
        half: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """The bound, and its surrogate; see `MixtureBound`."""
        y = self.draw_labels(log_q, generator)
        noise = normal_draws((model.latent, self.samples, x.shape[1]), x, generator)
        how = {"reparameterized": self.reparameterized, "half": half}
        log_w, score = log_weights(model, x, log_q, y, noise, **how)
        return self.at(x, log_w, score)

    def draw_labels(self, log_q: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draws from q(y|x), one-hot (K, M, N)."""
        return one_hot_of_largest(self._perturbed(log_q, generator))

    def _perturbed(self, log_q: Tensor, generator: torch.Generator | None) -> Tensor:
        shape = (len(log_q), self.samples, log_q.shape[1])
        return log_q.unsqueeze(1) + gumbel_draws(shape, log_q, generator)

    @abstractmethod
    def at(self, x: Tensor, log_w: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        """The bound of columns x, (N,), and its surrogate, given what `log_weights` gives."""

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{super().extra_repr()}, reparameterized={self.reparameterized}"


class Vimco(Sampled):
    r"""The bound of M draws of (y, z), each the baseline of the others.

    .. math:: E \log \frac1M \sum_m w_m

    Args:
        samples: M, at least 2.
        reparameterized: whether gradients flow through z; else it is taken as given, like y.

    Source: Mnih, Rezende (2016), "Variational inference for Monte Carlo objectives",
    arXiv:1602.06725.

    Example:
        >>> Vimco()
        Vimco(samples=15, reparameterized=False)
    """

    least = 2

    def __init__(self, samples: int = 15, *, reparameterized: bool = False) -> None:
        super().__init__(samples, reparameterized=reparameterized)

    def at(self, x: Tensor, log_w: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        """The bound of the weights, and its surrogate; see `anabranch.objectives.vimco`."""
        return iwae(log_w), vimco(log_w, score)


class Gumbel(Sampled):
    r"""The bound of M draws, whose gradient passes through a relaxed y (straight-through).

    .. math:: \tilde y = \operatorname{softmax}((\log q + g) / \tau), \quad g \sim
        \operatorname{Gumbel}(0, 1)

    Args:
        samples: M.
        temperature: :math:`\tau`.

    Source: Jang, Gu, Poole (2016), "Categorical reparameterization with Gumbel-softmax",
    arXiv:1611.01144.

    Example:
        >>> Gumbel(temperature=0.7).temperature
        0.7
    """

    def __init__(self, samples: int = 1, *, temperature: float = 0.5) -> None:
        super().__init__(samples, reparameterized=True)
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.temperature = temperature

    def draw_labels(self, log_q: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draws from q(y|x), one-hot (K, M, N), with the gradient of the relaxed ones."""
        perturbed = self._perturbed(log_q, generator)
        soft = torch.softmax(perturbed / self.temperature, dim=0)
        return one_hot_of_largest(perturbed) + soft - soft.detach()

    def at(self, x: Tensor, log_w: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        """The bound of the weights, twice."""
        bound = iwae(log_w)
        return bound, bound


class Nvil(Sampled):
    r"""The bound :math:`E \log w` over draws of (y, z), with a baseline network of x.

    Args:
        baseline: C, from rows (N, D) to (N, 1), which learns to predict :math:`\log w`.
        samples: M.
        reparameterized: whether gradients flow through z; else it is taken as given, like y.

    Source: Mnih, Gregor (2014), "Neural variational inference and learning in belief networks",
    arXiv:1402.0030.

    Attributes:
        spread: running standard deviation of :math:`\log w - C(x)`, by which signals are divided
            where it is above one.

    Example:
        >>> Nvil(nn.Linear(4, 1)).spread
        tensor(1.)
    """

    spread: Tensor

    def __init__(
        self, baseline: nn.Module, samples: int = 1, *, reparameterized: bool = False
    ) -> None:
        super().__init__(samples, reparameterized=reparameterized)
        self.baseline = baseline
        self.register_buffer("spread", torch.ones(()))

    def at(self, x: Tensor, log_w: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        """The mean weight, and its surrogate; see `anabranch.objectives.nvil`."""
        expected = self.baseline(x.mT).squeeze(-1)
        if self.training:
            self._follow_spread(log_w.detach() - expected.detach())
        return log_w.mean(0), nvil(log_w, score, expected, self.spread)

    @torch.no_grad()
    def _follow_spread(self, error: Tensor) -> None:
        size = error.square().mean().sqrt()
        # a step that is not finite is skipped, and must leave no trace here either
        self.spread.lerp_(torch.where(size.isfinite(), size, self.spread), SPREAD_DECAY)


def make_bound(
    spec: BoundSpec,
    features: int,
    *,
    activation: str = "relu",
    generator: torch.Generator | None = None,
) -> MixtureBound:
    """A bound from plain values.

    Args:
        spec: "enumerate", "gumbel", "iwae", "nvil" or "vimco", or {"name": ..., keyword: value}:
            all take ``samples``, "nvil" and "vimco" ``reparameterized``, "gumbel" ``temperature``,
            and "nvil" ``baseline``, the hidden sizes of its network ([] for a linear one).
        features: D, of the rows that a baseline network sees.
        activation: of that network.
        generator: source of its initial weights.

    Raises:
        ValueError: for an unknown name, or too few samples.
        TypeError: for a keyword that the bound does not have.

    Example:
        >>> make_bound("iwae", 4)
        Enumerated(samples=15, importance=True)
        >>> make_bound({"name": "vimco", "speed": 2}, 4)
        Traceback (most recent call last):
        TypeError: objective 'vimco' takes samples, reparameterized; got 'speed'
    """
    name, keywords = check_bound(spec)
    known = BOUNDS[name]
    given: dict[str, Any] = {**known.preset, **keywords}
    if name == "nvil":
        sizes = given.pop("baseline")
        given["baseline"] = MLP(features, 1, sizes, activation=activation, generator=generator)
    return known.kind(**given)


def check_bound(spec: BoundSpec) -> tuple[str, dict[str, object]]:
    """The name and the keywords of a bound, which has them.

    Raises:
        ValueError: for an unknown name.
        TypeError: for a keyword that the bound does not have.

    Example:
        >>> check_bound({"name": "vimco", "samples": 5})
        ('vimco', {'samples': 5})
    """
    keywords: dict[str, object] = dict(spec) if isinstance(spec, Mapping) else {"name": spec}
    name = keywords.pop("name", None)
    if not isinstance(name, str) or name not in BOUNDS:
        raise ValueError(
            f"objective must be one of {sorted(BOUNDS)}, or a dict with such a name, got {spec!r}"
        )
    known = BOUNDS[name].keywords
    for key in keywords:
        if key not in known:
            raise TypeError(f"objective {name!r} takes {', '.join(known)}; got {key!r}")
    return name, keywords


class _Named(NamedTuple):
    """A bound by its name: its class, the keywords that a user may give, and what is preset."""

    kind: type[MixtureBound]
    keywords: tuple[str, ...] = ("samples", "reparameterized")
    preset: Mapping[str, object] = {}


BOUNDS = {
    "enumerate": _Named(Enumerated, ("samples",)),
    "gumbel": _Named(Gumbel, ("samples", "temperature")),
    "iwae": _Named(Enumerated, ("samples",), {"samples": 15, "importance": True}),
    "nvil": _Named(Nvil, ("samples", "reparameterized", "baseline"), {"baseline": (100,)}),
    "vimco": _Named(Vimco),
}
