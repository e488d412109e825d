"""The contract of every distribution."""

from abc import abstractmethod
from itertools import chain

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.context import needed_context, vector_size
from anabranch.contracts.domain import REAL, Domain
from anabranch.contracts.torch_view import TorchView
from anabranch.functional import broadcast_leading, canonical, check_dtype, expand_batch
from anabranch.functional.modes import full_precision
from anabranch.functional.shapes import Shape, as_event_shape, as_shape, size_of


class Distribution(nn.Module):
    r"""A density over points of ``event_shape`` that can be evaluated and sampled.

    A subclass implements ``_log_prob`` and ``_sample`` on canonical shapes; see `Transform`.

    Args:
        event_shape: shape of one data point; an integer is a vector's size.
        batch_shape: the component axis, () for one distribution.
        context_shape: shape of the context it uses; an integer is a vector's size, 0 is none.

    Attributes:
        domain: where its points live.
        exact: whether log_prob is exact; False where it is a lower bound.
        stochastic: whether log_prob draws random numbers.

    Raises:
        ValueError: for a shape that is none.
    """

    domain: Domain = REAL
    exact: bool = True
    stochastic: bool = False

    def __init__(
        self,
        event_shape: int | Shape,
        *,
        batch_shape: Shape = (),
        context_shape: int | Shape = (),
    ) -> None:
        super().__init__()
        self.event_shape = as_event_shape(event_shape, "event_shape")
        self.batch_shape = tuple(batch_shape)
        self.context_shape = as_shape(context_shape, "context_shape")

    @property
    def context_features(self) -> int:
        """Size of a vector context, 0 for none."""
        return vector_size(self.context_shape)

    @property
    def discrete(self) -> bool:
        """Whether log_prob is a log-probability instead of a log-density."""
        return self.domain.discrete

    def log_prob(
        self, x: Tensor, context: Tensor | None = None, *, generator: Generator | None = None
    ) -> Tensor:
        """Log-density of x, in nats.

        Args:
            x: (..., *event_shape), or with a batch_shape (N, *event_shape) or
                (*batch_shape, N, *event_shape).
            context: (..., *context_shape).
            generator: source of what a stochastic part draws; torch's default where None.

        Returns:
            (...), or with a batch_shape (*batch_shape, N).

        Raises:
            ValueError: for a wrong shape, or a missing context.
            TypeError: for a dtype other than the distribution's.
        """
        x, context, lead = self._canonical(x, context)
        with full_precision(x.device):
            log_prob = self._log_prob(x, context, generator)
        if self.batch_shape:
            return expand_batch(log_prob, self.batch_shape, 0)
        return log_prob if len(lead) == 1 else log_prob.reshape(lead)

    def initialize(
        self, x: Tensor, context: Tensor | None = None, *, generator: Generator | None = None
    ) -> None:
        """Set data-dependent parameters of all parts inside from x; by default there are none.

        Whoever trains calls it once, before training; arguments and errors as of ``log_prob``.
        """
        with torch.no_grad(), full_precision(x.device):
            x, context, _ = self._canonical(x, context)
            self._initialize(x, context, generator)

    def sample(
        self,
        sample_shape: int | Shape = (),
        context: Tensor | None = None,
        generator: Generator | None = None,
    ) -> Tensor:
        """Draw points, without gradients; ``rsample`` keeps them.

        Args:
            sample_shape: how many, an integer or a shape of integers that are not negative.
            context: (..., context_features); one set of draws for each.
            generator: source of randomness; torch's default where None.

        Returns:
            (*batch_shape, *sample_shape, *event_shape); with a context its leading dimensions
            stand before the event's.
        """
        with torch.no_grad():
            return self.rsample(sample_shape, context, generator)

    def rsample(
        self,
        sample_shape: int | Shape = (),
        context: Tensor | None = None,
        generator: Generator | None = None,
    ) -> Tensor:
        """Draw points by reparameterisation; arguments and shapes as in ``sample``."""
        lead, n, context = self._draws(sample_shape, context)
        with full_precision(self._device):
            x = self._sample(n, context, generator)
        x = expand_batch(x, self.batch_shape, len(self.event_shape))
        return x.reshape(*self.batch_shape, *lead, *self.event_shape)

    def sample_and_log_prob(
        self,
        sample_shape: int | Shape = (),
        context: Tensor | None = None,
        generator: Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw points with their log-density, without gradients; shapes as in ``sample``."""
        with torch.no_grad():
            return self.rsample_and_log_prob(sample_shape, context, generator)

    def rsample_and_log_prob(
        self,
        sample_shape: int | Shape = (),
        context: Tensor | None = None,
        generator: Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The same by reparameterisation: gradients run through the points and the density.

        A flow whose transform is exact needs one ``decode`` for both.

        Returns:
            The points as of ``sample``, and their log-density in nats, of the same leading shape.
        """
        lead, n, context = self._draws(sample_shape, context)
        with full_precision(self._device):
            x, log_prob = self._sample_and_log_prob(n, context, generator)
        x = expand_batch(x, self.batch_shape, len(self.event_shape))
        log_prob = expand_batch(log_prob, self.batch_shape, 0)
        shape = (*self.batch_shape, *lead)
        return x.reshape(*shape, *self.event_shape), log_prob.reshape(shape)

    def to_torch(self, context: Tensor | None = None) -> TorchView:
        """The distribution at a context, as an object of `torch.distributions`.

        Args:
            context: (..., *context_shape); its leading shape is the batch shape of the object.

        Raises:
            ValueError: for one with a component axis, of which there is one object each.

        Example:
            >>> from anabranch.distributions import Normal
            >>> Normal(2).to_torch().log_prob(torch.zeros(3, 2))
            tensor([-1.8379, -1.8379, -1.8379])
        """
        if self.batch_shape:
            raise ValueError(
                f"to_torch is of one distribution, not of batch_shape {self.batch_shape}"
            )
        context = needed_context(self, self.context_shape, context)
        lead = () if context is None else self._context_lead(context)
        return TorchView(self, context, lead)

    @abstractmethod
    def _log_prob(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> Tensor: ...

    @abstractmethod
    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor: ...

    def _sample_and_log_prob(
        self, n: int, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Draws and their log-density; a distribution that has both at once overrides it."""
        x = self._sample(n, context, generator)
        return x, self._log_prob(x, context, generator)

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        """Set data-dependent parameters; for subclasses that have any."""

    def _canonical(
        self, x: Tensor, context: Tensor | None
    ) -> tuple[Tensor, Tensor | None, torch.Size]:
        """Check x and context and bring both to canonical shapes; give the leading shape too."""
        check_dtype(self, x, "x")
        context = needed_context(self, self.context_shape, context)
        if context is not None:
            kind = self.context_shape
            x, context = broadcast_leading(x, context, len(self.event_shape), len(kind))
            context, _ = canonical(context, kind, self.batch_shape, "context")
        x, lead = canonical(x, self.event_shape, self.batch_shape, "x")
        return x, context, lead

    def _draws(
        self, sample_shape: int | Shape, context: Tensor | None
    ) -> tuple[Shape, int, Tensor | None]:
        """The leading shape of the draws, how many they are, and the context of each."""
        sample_shape, n = size_of(sample_shape)
        context = needed_context(self, self.context_shape, context)
        if context is None:
            return sample_shape, n, None
        lead = (*sample_shape, *self._context_lead(context))
        context = self._spread(context, sample_shape)
        return lead, context.shape[-1 - len(self.context_shape)], context

    @property
    def _device(self) -> torch.device:
        return next(chain(self.parameters(), self.buffers(), (torch.empty(0),))).device

    def _context_lead(self, context: Tensor) -> Shape:
        lead = tuple(context.shape[: context.ndim - len(self.context_shape)])
        k = len(self.batch_shape)
        return lead[k:] if k and len(lead) > k and lead[:k] == self.batch_shape else lead

    def _spread(self, context: Tensor, sample_shape: Shape) -> Tensor:
        """Repeat the context for each draw: (*batch_shape, n, *context_shape) or without batch."""
        lead, kind = self._context_lead(context), self.context_shape
        batch = tuple(context.shape[: context.ndim - len(kind) - len(lead)])
        ones = (1,) * len(sample_shape)
        spread = context.reshape(*batch, *ones, *lead, *kind)
        spread = spread.expand(*batch, *sample_shape, *lead, *kind)
        return spread.reshape(*batch, -1, *kind)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        stack = f", batch_shape={self.batch_shape}" if self.batch_shape else ""
        context = f", context_shape={self.context_shape}" if self.context_shape else ""
        return f"{self.event_shape}{stack}{context}"
