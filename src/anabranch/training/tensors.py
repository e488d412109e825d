"""Lists of tensors, kept and put back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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


def check_alike(name: str, saved: Any, own: Any) -> None:
    """Refuse saved tensors that cannot be copied into others.

    Args:
        name: of the tensors.
        saved: a dict or list of tensors.
        own: the like, or tensors themselves.

    Raises:
        ValueError: names the first that is unlike.

    Example:
        >>> check_alike("best", [torch.ones(2)], [torch.ones(3)])
        Traceback (most recent call last):
        ValueError: best.0 is torch.float32 of shape (2,), expected torch.float32 of shape (3,)
    """
    if isinstance(own, Tensor):
        if not isinstance(saved, Tensor) or (saved.dtype, saved.shape) != (own.dtype, own.shape):
            raise ValueError(f"{name} is {_shown(saved)}, expected {_shown(own)}")
        return
    if type(saved) is not type(own) or len(saved) != len(own):
        raise ValueError(f"{name} has {_shown(saved)}, expected {_shown(own)}")
    for key, value in own.items() if isinstance(own, Mapping) else enumerate(own):
        check_alike(f"{name}.{key}", saved[key], value)


def whole_number(value: Any) -> int:
    """A count from 0 as it is.

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"expected a count, got {value!r:.60}")
    return value


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"


def clones(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Copies that share neither memory nor gradients.

    Example:
        >>> clones([torch.zeros(1, requires_grad=True)])
        [tensor([0.])]
    """
    return [tensor.detach().clone() for tensor in tensors]
