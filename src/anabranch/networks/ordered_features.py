"""What networks share that take the features of an event one after another."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from anabranch.functional import expand_batch
from anabranch.functional.shapes import Shape


class OrderedFeatures(nn.Module, ABC):
    r"""A network in the place of a MADE: parameters of each feature from those before it; abstract.

    Args:
        features: D.
        n_params: outputs per feature, parameter-major.
        context_features: size of the context; 0 for none.
        ordering: a permutation of 0..D-1, the places of the features.
        batch_shape: the component axis.

    Raises:
        ValueError: for an ordering that is no permutation.
    """

    shared_buffers = ("order", "inverse_order")
    order: Tensor
    inverse_order: Tensor

    def __init__(
        self,
        features: int,
        n_params: int,
        *,
        context_features: int = 0,
        ordering: Sequence[int] | None = None,
        batch_shape: Shape = (),
    ) -> None:
        super().__init__()
        places = list(range(features)) if ordering is None else [int(place) for place in ordering]
        if sorted(places) != list(range(features)):
            raise ValueError(f"ordering must be a permutation of 0..{features - 1}, got {places}")
        self.n_params, self.context_features = n_params, context_features
        self.batch_shape = tuple(batch_shape)
        self.register_buffer("inverse_order", torch.tensor(places), False)
        self.register_buffer("order", self.inverse_order.argsort(), False)

    @abstractmethod
    def columns(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Columns (*batch_shape, D, N) to parameters (*batch_shape, n_params * D, N)."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map (*batch_shape, N, D) to (*batch_shape, N, n_params * D)."""
        x = expand_batch(x, self.batch_shape, 1)
        return self.columns(x.mT, None if context is None else context.mT).mT

    def arranged(self, columns: Tensor) -> Tensor:
        """Columns (*batch_shape, D, N) in the order in which they take their turns."""
        return columns.index_select(-2, self.order)
