"""Lists of tensors, kept and put back."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


@torch.no_grad()
def copy_tensors(source: Sequence[Tensor], target: Sequence[Tensor]) -> None:
    """Write the values of one list into the tensors of another.

    Example:
        >>> kept, state = [torch.ones(1)], [torch.zeros(1)]
        >>> copy_tensors(kept, state)
        >>> state
        [tensor([1.])]
    """
    for a, b in zip(source, target, strict=True):
        b.copy_(a)


def clones(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Copies that share neither memory nor gradients.

    Example:
        >>> clones([torch.zeros(1, requires_grad=True)])
        [tensor([0.])]
    """
    return [tensor.detach().clone() for tensor in tensors]
