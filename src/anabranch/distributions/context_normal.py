"""A normal whose first numbers lie around its context."""

import math

import torch
from torch import Generator, Tensor

from anabranch.contracts.distribution import Distribution
from anabranch.functional import expand_batch, standard_normal_log_prob
from anabranch.functional.numbers import check_positive
from anabranch.functional.shapes import Shape


class ContextNormal(Distribution):
    r"""A normal whose first numbers lie around the context, and the others around zero.

    .. math:: z = (c + \sigma e_1,\; \tau e_2,\; e_3), \qquad e \sim \mathcal N(0, I)

    The base of an invertible network that predicts c and leaves the rest free: :math:`e_1` has as
    many numbers as the context, :math:`e_3` as many as are ``free``, and :math:`e_2` pads.

    Args:
        features: D.
        context_features: C, size of the context.
        free: how many numbers are standard normal; the D - C - free others pad.
        std: :math:`\sigma`.
        padding_std: :math:`\tau`.
        batch_shape: the component axis.

    Raises:
        ValueError: where sizes do not fit into D, or a standard deviation is not positive.

    Source: Ardizzone et al. (2018), "Analyzing inverse problems with invertible neural networks",
    arXiv:1808.04730; with a likelihood: Ardizzone et al. (2019), arXiv:1907.02392.

    Example:
        >>> base = ContextNormal(4, context_features=1, free=2, std=0.1)
        >>> [part.shape[-1] for part in base.parts(torch.zeros(5, 4))]
        [1, 1, 2]
        >>> base.sample(context=torch.full((500, 1), 3.0))[:, 0].mean().round()
        tensor(3.)
    """

    shared_buffers = ("scale",)
    scale: Tensor

    def __init__(
        self,
        features: int,
        *,
        context_features: int,
        free: int,
        std: float = 0.05,
        padding_std: float = 0.05,
        batch_shape: Shape = (),
    ) -> None:
        padding = features - context_features - free
        if min(context_features, free, padding + 1) < 1:
            raise ValueError(
                f"{features} features must hold a context of at least 1 and at least 1 free "
                f"number, got {context_features} and {free}"
            )
        super().__init__(features, batch_shape=batch_shape, context_shape=context_features)
        self.std, self.padding_std = std, padding_std
        check_positive(self, ("std", "padding_std"))
        self.sizes = (context_features, padding, free)
        scale = [std] * context_features + [padding_std] * padding + [1.0] * free
        self.register_buffer("scale", torch.tensor(scale), False)
        self.log_volume = context_features * math.log(std) + padding * math.log(padding_std)

    def parts(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is around the context, what pads, and what is free, each (..., size)."""
        observed, padding, free = z.split(self.sizes, -1)
        return observed, padding, free

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        return standard_normal_log_prob((x - self._loc(context)) / self.scale) - self.log_volume

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        loc = self._loc(context)
        shape = (*self.batch_shape, n, *self.event_shape)
        noise = torch.randn(shape, generator=generator, dtype=loc.dtype, device=loc.device)
        return expand_batch(loc, self.batch_shape, 1) + self.scale * noise

    def _loc(self, context: Tensor | None) -> Tensor:
        if context is None:
            raise ValueError(f"context of shape (..., {self.sizes[0]}) is required")
        return torch.nn.functional.pad(context, (0, sum(self.sizes[1:])))
