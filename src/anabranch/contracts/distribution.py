"""The contract of every distribution."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from anabranch.functional import broadcast_leading, canonical, check_dtype, expand_batch
from anabranch.functional.shapes import Shape, size_of


class Distribution(nn.Module):
    r"""A density over points of ``event_shape`` that can be evaluated and sampled.

    A subclass implements ``_log_prob`` and ``_sample`` on canonical shapes; see `Transform`.

    Attributes:
        event_shape: shape of one data point.
        batch_shape: the component axis, () for one distribution.
        context_features: size of the context it uses; 0 for one that ignores it.
        exact: whether log_prob is exact; False where it is a lower bound.
    """

    exact: bool = True

    def __init__(
        self, event_shape: Shape, *, batch_shape: Shape = (), context_features: int = 0
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.batch_shape = tuple(batch_shape)
        self.context_features = context_features

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density of x, in nats.

        Args:
            x: (..., *event_shape), or with a batch_shape (N, *event_shape) or
                (*batch_shape, N, *event_shape).
            context: (..., context_features).

        Returns:
            (...), or with a batch_shape (*batch_shape, N).

        Raises:
            ValueError: for a wrong shape, or a missing context.
            TypeError: for a dtype other than the distribution's.
        """
        check_dtype(self, x, "x")
        context = self._needed(context)
        if context is not None:
            x, context = broadcast_leading(x, context, len(self.event_shape), self.batch_shape)
            context, _ = canonical(context, (self.context_features,), self.batch_shape, "context")
        x, lead = canonical(x, self.event_shape, self.batch_shape, "x")
        log_prob = self._log_prob(x, context)
        if self.batch_shape:
            return expand_batch(log_prob, self.batch_shape, 0)
        return log_prob if len(lead) == 1 else log_prob.reshape(lead)

    def sample(
        self,
        sample_shape: int | Shape = (),
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw points, without gradients; ``rsample`` keeps them.

        Args:
            sample_shape: how many, an integer or a shape.
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
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw points by reparameterisation; arguments and shapes as in ``sample``."""
        lead, n, context = self._draws(sample_shape, context)
        x = expand_batch(
            self._sample(n, context, generator), self.batch_shape, len(self.event_shape)
        )
        return x.reshape(*self.batch_shape, *lead, *self.event_shape)

    def sample_and_log_prob(
        self,
        sample_shape: int | Shape = (),
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw points with their log-density, without gradients; shapes as in ``sample``."""
        with torch.no_grad():
            return self.rsample_and_log_prob(sample_shape, context, generator)

    def rsample_and_log_prob(
        self,
        sample_shape: int | Shape = (),
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The same by reparameterisation: gradients run through the points and the density.

        A flow whose transform is exact needs one ``decode`` for both.

        Returns:
            The points as of ``sample``, and their log-density in nats, of the same leading shape.
        """
        lead, n, context = self._draws(sample_shape, context)
        x, log_prob = self._sample_and_log_prob(n, context, generator)
        x = expand_batch(x, self.batch_shape, len(self.event_shape))
        log_prob = expand_batch(log_prob, self.batch_shape, 0)
        shape = (*self.batch_shape, *lead)
        return x.reshape(*shape, *self.event_shape), log_prob.reshape(shape)

    @abstractmethod
    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor: ...

    @abstractmethod
    def _sample(
        self, n: int, context: Tensor | None, generator: torch.Generator | None
    ) -> Tensor: ...

    def _sample_and_log_prob(
        self, n: int, context: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Draws and their log-density; a distribution that has both at once overrides it."""
        x = self._sample(n, context, generator)
        return x, self._log_prob(x, context)

    def _draws(
        self, sample_shape: int | Shape, context: Tensor | None
    ) -> tuple[Shape, int, Tensor | None]:
        """The leading shape of the draws, how many they are, and the context of each."""
        sample_shape, n = size_of(sample_shape)
        context = self._needed(context)
        if context is None:
            return sample_shape, n, None
        lead = (*sample_shape, *self._context_lead(context))
        context = self._spread(context, sample_shape)
        return lead, context.shape[-2], context

    def _needed(self, context: Tensor | None) -> Tensor | None:
        if not self.context_features:
            return None
        if context is None:
            raise ValueError(f"context of shape (..., {self.context_features}) is required")
        if context.shape[-1] != self.context_features:
            raise ValueError(
                f"context must have shape (..., {self.context_features}), "
                f"got {tuple(context.shape)}"
            )
        check_dtype(self, context, "context")
        return context

    def _context_lead(self, context: Tensor) -> tuple[int, ...]:
        lead = tuple(context.shape[:-1])
        k = len(self.batch_shape)
        return lead[k:] if k and len(lead) > k and lead[:k] == self.batch_shape else lead

    def _spread(self, context: Tensor, sample_shape: Shape) -> Tensor:
        """Repeat the context for each draw: (*batch_shape, n, C) or (n, C)."""
        lead = self._context_lead(context)
        batch = tuple(context.shape[: context.ndim - 1 - len(lead)])
        ones = (1,) * len(sample_shape)
        spread = context.reshape(*batch, *ones, *lead, context.shape[-1])
        spread = spread.expand(*batch, *sample_shape, *lead, context.shape[-1])
        return spread.reshape(*batch, -1, context.shape[-1])

    def extra_repr(self) -> str:
        """What repr shows of it."""
        stack = f", batch_shape={self.batch_shape}" if self.batch_shape else ""
        context = f", context_features={self.context_features}" if self.context_features else ""
        return f"{self.event_shape}{stack}{context}"
