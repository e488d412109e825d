"""The contract of every transform."""

from abc import abstractmethod

import torch
from torch import Size, Tensor, nn

from anabranch.functional import broadcast_leading, canonical, check_dtype, expand_batch
from anabranch.functional.shapes import Shape


class Transform(nn.Module):
    r"""A map between data x and latent z with its log-likelihood term.

    .. math:: \log p(x) = \log p(z) + \mathrm{term}

    For a bijection the term is :math:`\log|\det \partial z / \partial x|`, exact, and the term of
    ``decode`` is its negative at the same point. Other members of the algebra (dequantization,
    folds, VAE layers) return their log-likelihood contribution; where that makes the density a
    lower bound, ``exact`` is False.

    A subclass implements ``_encode`` and ``_decode`` on inputs of shape (N, \*event) or
    (\*batch_shape, N, \*event); either may come, and the results broadcast.

    Attributes:
        event_shape: shape of one data point.
        batch_shape: the component axis, () for one transform.
        context_features: size of the context it uses; 0 for one that ignores it.
        exact: whether the term is exact.
        bijective: whether ``decode`` undoes ``encode``; a fold has several points for one latent.

    Source of the algebra: Nielsen et al. (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    exact: bool = True
    bijective: bool = True

    def __init__(
        self, event_shape: Shape, *, batch_shape: Shape = (), context_features: int = 0
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.batch_shape = tuple(batch_shape)
        self.context_features = context_features

    def encode(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data to latent.

        Args:
            x: (..., *event_shape), or with a batch_shape (N, *event_shape) or
                (*batch_shape, N, *event_shape).
            context: (..., context_features), leading dimensions broadcast with those of x.

        Returns:
            z of the shape of x, and the term with the leading shape of z.

        Raises:
            ValueError: for a wrong shape, or a missing context.
            TypeError: for a dtype other than the transform's.
        """
        return self._apply_canonical(self._encode, x, context, "x")

    def decode(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map latent to data; shapes and errors as in ``encode``."""
        return self._apply_canonical(self._decode, z, context, "z")

    def initialize(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Set data-dependent parameters from x, then encode it; by default there are none.

        It is called once, before training. There is no hidden first batch: a loaded model is
        never initialised again.
        """
        with torch.no_grad():
            points, conditions, _ = self._canonical(x, context, "x")
            self._initialize(points, conditions)
            return self.encode(x, context)

    @abstractmethod
    def _encode(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]: ...

    @abstractmethod
    def _decode(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]: ...

    def _initialize(self, x: Tensor, context: Tensor | None) -> None:
        """Set data-dependent parameters; for subclasses that have any."""

    def _apply_canonical(
        self, function: object, x: Tensor, context: Tensor | None, name: str
    ) -> tuple[Tensor, Tensor]:
        x, context, lead = self._canonical(x, context, name)
        y, term = function(x, context)  # pyright: ignore[reportCallIssue]
        if self.batch_shape:
            y = expand_batch(y, self.batch_shape, len(self.event_shape))
            return y, expand_batch(term, self.batch_shape, 0)
        if len(lead) != 1:
            return y.reshape(*lead, *self.event_shape), term.reshape(lead)
        return y, term

    def _canonical(
        self, x: Tensor, context: Tensor | None, name: str
    ) -> tuple[Tensor, Tensor | None, Size]:
        """Check x and context and bring both to canonical shapes; give the leading shape too."""
        check_dtype(self, x, name)
        if not self.context_features:
            context = None
        elif context is None:
            raise ValueError(f"context of shape (..., {self.context_features}) is required")
        else:
            check_dtype(self, context, "context")
            x, context = broadcast_leading(x, context, len(self.event_shape), self.batch_shape)
            context, _ = canonical(context, (self.context_features,), self.batch_shape, "context")
        x, lead = canonical(x, self.event_shape, self.batch_shape, name)
        return x, context, lead

    def extra_repr(self) -> str:
        """What repr shows of it."""
        stack = f", batch_shape={self.batch_shape}" if self.batch_shape else ""
        context = f", context_features={self.context_features}" if self.context_features else ""
        return f"{self.event_shape}{stack}{context}"
