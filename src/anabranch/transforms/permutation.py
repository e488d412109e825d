"""Permutations of the features."""

from collections.abc import Sequence

import torch
from torch import Tensor

from anabranch.contracts.transform import Transform


class Permutation(Transform):
    r"""Reorder the features: :math:`z_d = x_{\pi(d)}`, term zero.

    Args:
        order: the permutation :math:`\pi` of 0..D-1.

    Raises:
        ValueError: where order is not a permutation.

    Example:
        >>> Permutation([2, 0, 1]).encode(torch.tensor([[1.0, 2.0, 3.0]]))
        (tensor([[3., 1., 2.]]), tensor([0.]))
    """

    order: Tensor
    inverse_order: Tensor

    def __init__(self, order: Sequence[int]) -> None:
        order = [int(d) for d in order]
        if sorted(order) != list(range(len(order))):
            raise ValueError(f"order must be a permutation of 0..{len(order) - 1}, got {order}")
        super().__init__((len(order),))
        self.register_buffer("order", torch.tensor(order))
        self.register_buffer("inverse_order", torch.tensor(order).argsort(), False)

    def _encode(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return x.index_select(-1, self.order), torch.zeros_like(x[..., 0])

    def _decode(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return z.index_select(-1, self.inverse_order), torch.zeros_like(z[..., 0])

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)  # pyright: ignore[reportArgumentType]
        self.inverse_order = self.order.argsort()


class Reverse(Transform):
    """Reverse the features, term zero; a flip costs less than a gather.

    Args:
        features: D.

    Example:
        >>> Reverse(3).encode(torch.tensor([[1.0, 2.0, 3.0]]))
        (tensor([[3., 2., 1.]]), tensor([0.]))
    """

    def __init__(self, features: int) -> None:
        super().__init__((features,))

    def _encode(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return x.flip(-1), torch.zeros_like(x[..., 0])

    def _decode(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return self._encode(z, context)
