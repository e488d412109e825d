"""Permutations of the features."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from anabranch.contracts.transform import Pair, Transform
from anabranch.functional.shapes import Shape


class Permutation(Transform):
    r"""Reorder the features, or the channels of an image: :math:`z_d = x_{\pi(d)}`, term zero.

    Args:
        order: the permutation :math:`\pi` of 0..D-1.
        places: height and width of an image; () for vectors.

    Raises:
        ValueError: where order is not a permutation.

    Example:
        >>> Permutation([2, 0, 1]).encode(torch.tensor([[1.0, 2.0, 3.0]]))
        (tensor([[3., 1., 2.]]), tensor([0.]))
    """

    domain = codomain = None
    order: Tensor
    inverse_order: Tensor

    def __init__(self, order: Sequence[int], *, places: Shape = ()) -> None:
        order = [int(d) for d in order]
        if sorted(order) != list(range(len(order))):
            raise ValueError(f"order must be a permutation of 0..{len(order) - 1}, got {order}")
        super().__init__((len(order), *places))
        self.register_buffer("order", torch.tensor(order))
        self.register_buffer("inverse_order", torch.tensor(order).argsort(), False)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        return self._arranged(x, self.order)

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        return self._arranged(z, self.inverse_order)

    def _arranged(self, x: Tensor, order: Tensor) -> Pair:
        axis = x.ndim - len(self.event_shape)
        return x.index_select(axis, order), x.new_zeros(x.shape[:axis])

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)  # pyright: ignore[reportArgumentType]
        self.inverse_order = self.order.argsort()


class Reverse(Transform):
    """Reverse the order of the features (or of the last axis), term zero.

    A flip costs less than a gather.

    Args:
        event_shape: D, or a shape whose last axis is reversed.

    Example:
        >>> Reverse(3).encode(torch.tensor([[1.0, 2.0, 3.0]]))
        (tensor([[3., 2., 1.]]), tensor([0.]))
    """

    domain = codomain = None

    def __init__(self, event_shape: int | Shape) -> None:
        super().__init__(event_shape)

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return x.flip(-1), x.new_zeros(x.shape[: x.ndim - len(self.event_shape)])

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self._encode(z, context, generator)
