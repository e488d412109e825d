"""The contract of every transform."""

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Generator, Size, Tensor, nn

from anabranch.contracts.context import needed_context, vector_size
from anabranch.contracts.domain import REAL, Domain
from anabranch.functional import broadcast_leading, canonical, check_dtype, expand_batch
from anabranch.functional.modes import full_precision
from anabranch.functional.shapes import Shape, as_event_shape, as_shape

Pair = tuple[Tensor, Tensor]
Step = Callable[[Tensor, Tensor | None, Generator | None], Pair]


class Transform(nn.Module):
    r"""A map between data x and latent z with its log-likelihood term.

    .. math:: \log p(x) = \log p(z) + \mathrm{term}

    For a bijection the term is :math:`\log|\det \partial z / \partial x|`, exact, and the term of
    ``decode`` is its negative at the same point. Other members of the algebra (dequantization,
    folds, factor-out, VAE layers) return their log-likelihood contribution; where that makes the
    density a lower bound, ``exact`` is False, and where it is random, ``stochastic`` is True.

    Autocast does not reach inside: a density needs all digits of its data.

    A subclass implements ``_encode`` and ``_decode`` on inputs of shape (N, \*event) or
    (\*batch_shape, N, \*event); either may come, and the results broadcast. Both get the context,
    in canonical shape too, and the generator; what needs none ignores them.

    Args:
        event_shape: shape of one data point; an integer is a vector's size.
        latent_shape: shape of its latent; the event shape where not given.
        batch_shape: the component axis, () for one transform.
        context_shape: shape of the context it uses; an integer is a vector's size, 0 is none.

    Attributes:
        domain: where data live; None for a map that takes points of any domain, alike in all
            places, and whose latents are of the same domain.
        codomain: where latents live.
        exact: whether the term is the likelihood; False where it makes it a lower bound.
        stochastic: whether ``encode`` draws random numbers.
        bijective: whether ``decode`` undoes ``encode``; a fold has several points for one latent.

    Raises:
        ValueError: for a shape that is none.

    Source of the algebra: Nielsen et al. (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    domain: Domain | None = REAL
    codomain: Domain | None = REAL
    exact: bool = True
    stochastic: bool = False
    bijective: bool = True

    def __init__(
        self,
        event_shape: int | Shape,
        latent_shape: int | Shape | None = None,
        *,
        batch_shape: Shape = (),
        context_shape: int | Shape = (),
    ) -> None:
        super().__init__()
        self.event_shape = as_event_shape(event_shape, "event_shape")
        self.latent_shape = as_event_shape(
            event_shape if latent_shape is None else latent_shape, "latent_shape"
        )
        self.batch_shape = tuple(batch_shape)
        self.context_shape = as_shape(context_shape, "context_shape")

    @property
    def context_features(self) -> int:
        """Size of a vector context, 0 for none."""
        return vector_size(self.context_shape)

    def encode(
        self, x: Tensor, context: Tensor | None = None, *, generator: Generator | None = None
    ) -> Pair:
        """Map data to latent.

        Args:
            x: (..., *event_shape), or with a batch_shape (N, *event_shape) or
                (*batch_shape, N, *event_shape).
            context: (..., *context_shape), leading dimensions broadcast with those of x.
            generator: source of what a stochastic part draws; torch's default where None.

        Returns:
            z, (..., *latent_shape), and the term with the leading shape of z.

        Raises:
            ValueError: for a wrong shape, or a missing context.
            TypeError: for a dtype other than the transform's.
        """
        x, context, lead = self._canonical(x, context, "x", self.event_shape)
        with full_precision(x.device):
            return self._shaped(self._encode(x, context, generator), lead, self.latent_shape)

    def decode(
        self, z: Tensor, context: Tensor | None = None, *, generator: Generator | None = None
    ) -> Pair:
        """Map latent to data, (..., *event_shape); other shapes and errors as in ``encode``."""
        z, context, lead = self._canonical(z, context, "z", self.latent_shape)
        with full_precision(z.device):
            return self._shaped(self._decode(z, context, generator), lead, self.event_shape)

    def initialize(
        self, x: Tensor, context: Tensor | None = None, *, generator: Generator | None = None
    ) -> Pair:
        """Set data-dependent parameters from x, then encode it; by default there are none.

        It is called once, before training. There is no hidden first batch: a loaded model is
        never initialised again.
        """
        with torch.no_grad(), full_precision(x.device):
            points, conditions, _ = self._canonical(x, context, "x", self.event_shape)
            self._initialize(points, conditions, generator)
            return self.encode(x, context, generator=generator)

    @abstractmethod
    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair: ...

    @abstractmethod
    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair: ...

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        """Set data-dependent parameters; for subclasses that have any."""

    def _shaped(self, result: Pair, lead: Size, shape: Shape) -> Pair:
        """Bring canonical results to the leading shape of the input."""
        y, term = result
        if self.batch_shape:
            return (
                expand_batch(y, self.batch_shape, len(shape)),
                expand_batch(term, self.batch_shape, 0),
            )
        if len(lead) != 1:
            return y.reshape(*lead, *shape), term.reshape(lead)
        return y, term

    def _canonical(
        self, x: Tensor, context: Tensor | None, name: str, shape: Shape
    ) -> tuple[Tensor, Tensor | None, Size]:
        """Check x and context and bring both to canonical shapes; give the leading shape too."""
        check_dtype(self, x, name)
        context = needed_context(self, self.context_shape, context)
        if context is not None:
            kind = self.context_shape
            x, context = broadcast_leading(x, context, len(shape), len(kind))
            context, _ = canonical(context, kind, self.batch_shape, "context")
        x, lead = canonical(x, shape, self.batch_shape, name)
        return x, context, lead

    def extra_repr(self) -> str:
        """What repr shows of it."""
        latent = f" to {self.latent_shape}" if self.latent_shape != self.event_shape else ""
        stack = f", batch_shape={self.batch_shape}" if self.batch_shape else ""
        context = f", context_shape={self.context_shape}" if self.context_shape else ""
        return f"{self.event_shape}{latent}{stack}{context}"
