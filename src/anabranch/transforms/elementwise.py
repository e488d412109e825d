"""Elementwise: each feature has its own scalar map."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.transform import Transform
from anabranch.functional import split_parameters
from anabranch.functional.shapes import Shape
from anabranch.networks import MLP
from anabranch.transforms.scalar import ScalarMap


class Elementwise(Transform):
    r"""Apply a scalar map to each feature: :math:`z_d = f(x_d; \theta_d)`.

    The parameters are free; with a context they are the output of an MLP of it.

    Args:
        scalar_map: the map.
        features: D.
        context_features: size of the context; 0 for free parameters.
        hidden: hidden sizes of the MLP, used with a context only.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Example:
        >>> from anabranch.transforms import PReLU
        >>> transform = Elementwise(PReLU(), 2)
        >>> z, term = transform.encode(torch.tensor([[-1.0, 2.0]]))
        >>> z, term
        (tensor([[-1.,  2.]], grad_fn=...), tensor([0.], grad_fn=...))
    """

    def __init__(
        self,
        scalar_map: ScalarMap,
        features: int,
        *,
        context_features: int = 0,
        hidden: Sequence[int] = (64,),
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape, context_shape=context_features)
        self.scalar_map = scalar_map
        self.domain = self.codomain = scalar_map.domain
        n_params = scalar_map.n_params
        if context_features:
            self.conditioner = MLP(
                0,
                n_params * features,
                hidden,
                context_features=context_features,
                batch_shape=batch_shape,
                zero_last=True,
                generator=generator,
            )
        else:
            self.params = nn.Parameter(torch.zeros(*batch_shape, n_params * features, 1))

    def _params(self, context: Tensor | None) -> Tensor:
        """(n_params, *batch_shape, N or 1, D)."""
        if context is None or not self.context_features:
            columns = self.params
        else:
            columns = self.conditioner.columns(context.mT[..., :0, :], context.mT)
        return split_parameters(columns, self.scalar_map.n_params).mT

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        z, log_slope = self.scalar_map.encode(x, self._params(context))
        return z, log_slope.sum(-1).expand(z.shape[:-1])

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        x, log_slope = self.scalar_map.decode(z, self._params(context))
        return x, log_slope.sum(-1).expand(x.shape[:-1])
