"""Autoregressive: each feature moves as told by those before it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from anabranch.functional import expand_batch, split_parameters
from anabranch.functional.shapes import Shape
from anabranch.networks import MADE
from anabranch.transforms.base import Transform
from anabranch.transforms.scalar import ScalarMap


class Autoregressive(Transform):
    r"""Move feature d by a scalar map whose parameters come from the features before it.

    .. math:: z_d = f(x_d; \theta_d(x_{<d}, c))

    ``encode`` takes one pass (a masked autoregressive flow), ``decode`` at most D. The mirror,
    one pass to sample (inverse autoregressive flow), is ``Inverse(Autoregressive(...))``.

    Args:
        scalar_map: the map.
        features: D.
        hidden: hidden sizes of the MADE.
        context_features: size of the context; 0 for none.
        ordering: places of the features, a permutation of 0..D-1.
        activation: activation of the MADE.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Source: Papamakarios, Pavlakou, Murray (2017), arXiv:1705.07057; Kingma et al. (2016),
    arXiv:1606.04934.

    Example:
        >>> from anabranch.transforms import Affine
        >>> transform = Autoregressive(Affine(), 3, hidden=(8,))
        >>> x, term = transform.decode(torch.ones(5, 3))
        >>> x.shape, term.shape
        (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(
        self,
        scalar_map: ScalarMap,
        features: int,
        *,
        hidden: Sequence[int] = (64, 64),
        context_features: int = 0,
        ordering: Sequence[int] | None = None,
        activation: str = "relu",
        batch_shape: Shape = (),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape, context_features=context_features)
        self.scalar_map = scalar_map
        self.conditioner = MADE(
            features,
            scalar_map.n_params,
            hidden,
            context_features=context_features,
            ordering=ordering,
            activation=activation,
            batch_shape=batch_shape,
            generator=generator,
        )

    def _params(self, columns: Tensor, context: Tensor | None) -> Tensor:
        columns = self.conditioner.columns(columns, None if context is None else context.mT)
        return split_parameters(columns, self.scalar_map.n_params)

    def _encode(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        columns = expand_batch(x, self.batch_shape, 1).mT
        z, log_slope = self.scalar_map.encode(columns, self._params(columns, context))
        return z.mT, log_slope.sum(-2)

    def _decode(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        # Jacobi iteration: after pass t the first t features are right whatever the others hold,
        # so D passes are exact. Most flows settle far earlier; then nothing changes any more.
        z = expand_batch(z, self.batch_shape, 1).mT
        may_stop = not (torch.is_grad_enabled() or torch.compiler.is_compiling())
        x = torch.zeros_like(z)
        for _ in range(self.event_shape[0]):
            previous = x
            x, _ = self.scalar_map.decode(z, self._params(previous, context))
            # An unsettled feature may overflow; zero times infinity must not reach the settled.
            x = torch.nan_to_num(x, 0.0, 0.0, 0.0)
            if may_stop and torch.equal(x, previous):
                break
        x, log_slope = self.scalar_map.decode(z, self._params(x, context))
        return x.mT, log_slope.sum(-2)
