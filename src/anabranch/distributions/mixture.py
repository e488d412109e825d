"""Mixtures of distributions, in log space throughout."""

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.distribution import Distribution
from anabranch.contracts.domain import Domain
from anabranch.contracts.marginals import Marginals
from anabranch.functional.roots import find_root, implicit
from anabranch.functional.shapes import Shape
from anabranch.networks import select_component


class Mixture(Marginals):
    r"""A finite mixture.

    .. math:: \log p(x) = \log \sum_{k=1}^K \pi_k\, p(x \mid k)

    Args:
        components: a stacked distribution with ``batch_shape=(K,)``, which is fast, or a sequence
            of groups, each stacked or single, where components are unlike.
        weights: (K,) positive numbers, normalised here; uniform by default.
        trainable_weights: whether gradients reach the weights, as softmax logits.

    Raises:
        ValueError: where components differ in event shape, context or domain, or weights have the
            wrong length or sign.

    Example:
        >>> from anabranch.distributions import Flow, Normal
        >>> from anabranch.transforms import TriangularAffine
        >>> mixture = Mixture(Flow(Normal(2), TriangularAffine(2, batch_shape=(3,))))
        >>> mixture.log_prob(torch.zeros(1, 2)).detach()
        tensor([-1.8379])
    """

    def __init__(
        self,
        components: Distribution | Sequence[Distribution],
        weights: Tensor | Sequence[float] | None = None,
        *,
        trainable_weights: bool = False,
    ) -> None:
        groups = [components] if isinstance(components, Distribution) else list(components)
        _check_groups(groups)
        super().__init__(
            groups[0].event_shape,
            context_shape=max((g.context_shape for g in groups), key=len),
        )
        self.domain = _domain(groups)
        self._groups = nn.ModuleList(groups)
        self.n_components = sum(g.batch_shape[0] if g.batch_shape else 1 for g in groups)
        self.exact = all(g.exact for g in groups)
        self.stochastic = any(g.stochastic for g in groups)
        self.logits = nn.Parameter(
            _logits(weights, self.n_components, _anchor(groups)), requires_grad=trainable_weights
        )

    @property
    def groups(self) -> list[Distribution]:
        """The groups of components, each stacked or single."""
        return list(self._groups)  # pyright: ignore[reportReturnType] - it holds nothing else

    @property
    def log_weights(self) -> Tensor:
        r""":math:`\log \pi`, shape (K,)."""
        return torch.log_softmax(self.logits, dim=0)

    @torch.no_grad()
    def set_weights(self, weights: Tensor) -> None:
        """Set the weights, (K,) non-negative with a positive sum; a zero switches one off."""
        fit = weights.shape == self.logits.shape and bool((weights >= 0).all() & weights.any())
        if not fit or not bool(weights.isfinite().all()):
            raise ValueError(
                f"weights must be {self.n_components} non-negative numbers with a positive sum, "
                f"got {weights.tolist()}"
            )
        self.logits.copy_(torch.log(weights / weights.sum()))

    def component_log_prob(
        self, x: Tensor, context: Tensor | None = None, *, generator: Generator | None = None
    ) -> Tensor:
        r""":math:`\log p(x \mid k)`, shape (K, N), for x of shape (N, \*event)."""
        if x.ndim != 1 + len(self.event_shape):
            raise ValueError(
                f"x must have shape (N, {', '.join(map(str, self.event_shape))}), "
                f"got {tuple(x.shape)}"
            )
        parts = [group.log_prob(x, context, generator=generator) for group in self.groups]
        parts = [p if p.ndim == 2 else p.unsqueeze(0) for p in parts]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def joint_log_prob(
        self, x: Tensor, context: Tensor | None = None, *, generator: Generator | None = None
    ) -> Tensor:
        r""":math:`\log \pi_k + \log p(x \mid k)`, shape (K, N), for x of shape (N, \*event)."""
        parts = self.component_log_prob(x, context, generator=generator)
        return parts + self.log_weights.unsqueeze(-1)

    def log_posterior(
        self, x: Tensor, context: Tensor | None = None, *, generator: Generator | None = None
    ) -> Tensor:
        r"""Log-responsibilities :math:`\log p(k \mid x)`, shape (K, N)."""
        return torch.log_softmax(self.joint_log_prob(x, context, generator=generator), dim=0)

    def component(self, index: int) -> Distribution:
        """Component k as a distribution of its own, sharing memory with the mixture."""
        if not 0 <= index < self.n_components:
            raise ValueError(f"component must be in 0..{self.n_components - 1}, got {index}")
        for group in self.groups:
            size = group.batch_shape[0] if group.batch_shape else 1
            if index < size:
                return select_component(group, index) if group.batch_shape else group
            index -= size
        raise RuntimeError("groups and n_components disagree")

    def sample_with_labels(
        self, n: int, context: Tensor | None = None, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw n points with the components they come from, in random order.

        Each component draws only as many points as it needs.

        Args:
            n: how many.
            context: (n, *context_shape), where the components take one.
            generator: source of randomness.

        Returns:
            x of shape (n, *event) and labels of shape (n,).
        """
        with torch.no_grad():
            return self._draw(n, context, generator)

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        lead = x.shape[: x.ndim - len(self.event_shape)]
        if len(lead) != 1:  # the base of a stacked flow: the axes in front are its components'
            if context is not None:
                kind = self.context_shape
                context = context.expand(*lead, *kind).reshape(-1, *kind)
            x = x.flatten(0, len(lead) - 1)
        return torch.logsumexp(self.joint_log_prob(x, context, generator=generator), 0).reshape(
            lead
        )

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        for group in self.groups:
            own = context if group.context_shape else None
            group._initialize(x, own, generator)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self._draw(n, context, generator)[0]

    def _draw(
        self, n: int, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        if n == 0:
            empty = self.logits.new_zeros(0, *self.event_shape)
            return empty, empty.new_zeros(0, dtype=torch.int64)
        labels = torch.multinomial(self.log_weights.exp(), n, True, generator=generator)
        parts, places = [], []
        for k in range(self.n_components):
            where = (labels == k).nonzero().squeeze(-1)
            if len(where):
                component = self.component(k)
                own = context[where] if context is not None and component.context_shape else None
                size: Shape = (len(where),) if own is None else ()
                parts.append(component.rsample(size, own, generator))
                places.append(where)
        order = torch.cat(places).argsort()
        return torch.cat(parts)[order], labels

    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor:
        parts = self._of_components("cdf", x, context)
        weights = self.log_weights.exp().to(x)
        return torch.tensordot(weights, parts.to(x), 1)

    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor:
        """By search between the quantiles of the components."""
        quantiles = self._of_components("icdf", u, context).detach()
        dtype = self.logits.dtype

        def below(x: Tensor) -> Tensor:
            return self._cdf(x.to(dtype), context).double()

        share, ends = u.double(), (quantiles.amin(0), quantiles.amax(0))
        with torch.no_grad():
            root = find_root(below, share, lower=ends[0], upper=ends[1])
        return implicit(below, root, share).to(dtype)

    def _of_components(self, name: str, x: Tensor, context: Tensor | None) -> Tensor:
        """The ``cdf`` or ``icdf`` of each component, (K, N, *event)."""
        parts = []
        for group in self.groups:
            if not isinstance(group, Marginals):
                raise TypeError(f"{type(group).__name__} has no {name}")
            part = getattr(group, name)(x, context)
            parts.append(part if group.batch_shape else part.unsqueeze(0))
        return torch.cat(parts)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"n_components={self.n_components}"


def _check_groups(groups: list[Distribution]) -> None:
    if not groups:
        raise ValueError("a mixture needs at least one component")
    if len({g.event_shape for g in groups}) > 1:
        shapes = [g.event_shape for g in groups]
        raise ValueError(f"components must agree in event shape, got {shapes}")
    if any(len(g.batch_shape) > 1 for g in groups):
        raise ValueError("components must have batch_shape () or (K,)")
    if len(shapes := {g.context_shape for g in groups} - {()}) > 1:
        raise ValueError(f"components must agree in context shape, got {sorted(shapes)}")


def _domain(groups: list[Distribution]) -> Domain:
    """The domain in which all components live."""
    domains = [group.domain for group in groups]
    for domain in domains:
        if all(other.within(domain) for other in domains):
            return domain
    raise ValueError(f"components must agree in domain, got {', '.join(map(str, domains))}")


def _anchor(groups: list[Distribution]) -> Tensor:
    """A tensor with the components' dtype and device, which the weights follow."""
    tensors = (t for g in groups for t in chain(g.parameters(), g.buffers()))
    return next((t for t in tensors if t.is_floating_point()), torch.zeros(()))


def _logits(weights: Tensor | Sequence[float] | None, n: int, anchor: Tensor) -> Tensor:
    if weights is None:
        return anchor.new_zeros(n)
    weights = torch.as_tensor(weights, dtype=anchor.dtype, device=anchor.device)
    if weights.shape != (n,) or not bool(((weights > 0) & weights.isfinite()).all()):
        raise ValueError(f"weights must be {n} positive numbers, got {weights.tolist()}")
    return torch.log(weights / weights.sum())
