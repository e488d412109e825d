"""Shape rules of the component axis, checked once at the public boundary."""

from collections.abc import Sequence
from itertools import chain
from math import prod

import torch
from torch import Size, Tensor, nn

from anabranch.functional.numbers import is_whole

Shape = tuple[int, ...]


def as_shape(size: int | Sequence[int], name: str) -> Shape:
    """The shape of a vector of that size, or the shape itself; () for 0, which means none.

    Raises:
        ValueError: for a size that is no integer or negative.

    Example:
        >>> as_shape(3, "event_shape"), as_shape((3, 8, 8), "event_shape"), as_shape(0, "context")
        ((3,), (3, 8, 8), ())
    """
    sizes = tuple(size) if isinstance(size, Sequence) else (size,) if size else ()
    if not all(is_whole(s) and int(s) >= 0 for s in sizes):
        raise ValueError(f"{name} must be a size or a shape in integers, got {size!r}")
    return tuple(int(s) for s in sizes)


def as_event_shape(size: int | Sequence[int], name: str) -> Shape:
    """The shape of an event, which holds at least one number; () is a single one.

    Raises:
        ValueError: as `as_shape`, and where a size is zero.
    """
    shape = as_shape(size, name)
    if size == 0 or 0 in shape:
        raise ValueError(f"{name} must hold at least one number, got {size!r}")
    return shape


def canonical(x: Tensor, event_shape: Shape, batch_shape: Shape, name: str) -> tuple[Tensor, Size]:
    """Bring x to (N, *event) or (*batch_shape, N, *event); return it with its leading shape.

    Without ``batch_shape`` any leading dimensions are taken and flattened to one. With it, x is
    (N, *event), shared by all components, or (*batch_shape, N, *event).

    Raises:
        ValueError: where the shape of x does not end in ``event_shape``, or its leading
            dimensions do not fit ``batch_shape``.

    Example:
        >>> x, lead = canonical(torch.zeros(3, 4, 2), (2,), (), "x")
        >>> x.shape, lead
        (torch.Size([12, 2]), torch.Size([3, 4]))
    """
    n_lead = x.ndim - len(event_shape)
    if n_lead < 0 or tuple(x.shape[n_lead:]) != tuple(event_shape):
        raise ValueError(
            f"{name} must have shape (..., {_inside(event_shape)}), got {tuple(x.shape)}"
        )
    lead = x.shape[:n_lead]
    if not batch_shape:
        return (x if n_lead == 1 else x.reshape(-1, *event_shape)), lead
    if n_lead == 1 or (n_lead == len(batch_shape) + 1 and tuple(lead[:-1]) == batch_shape):
        return x, lead
    raise ValueError(
        f"{name} must have shape (N, {_inside(event_shape)}) or "
        f"({_inside(batch_shape)}, N, {_inside(event_shape)}), got {tuple(x.shape)}"
    )


def _inside(shape: Shape) -> str:
    return ", ".join(str(size) for size in shape)


def broadcast_leading(
    x: Tensor, context: Tensor, event_dims: int, context_dims: int = 1
) -> tuple[Tensor, Tensor]:
    """Broadcast the leading dimensions of x (..., *event) and context (..., *kind) to each other.

    Raises:
        ValueError: where they cannot be broadcast.

    Example:
        >>> x, c = broadcast_leading(torch.zeros(5, 2), torch.zeros(3), 1)
        >>> c.shape
        torch.Size([5, 3])
    """
    lead_x, lead_c = x.shape[: x.ndim - event_dims], context.shape[: context.ndim - context_dims]
    if lead_x == lead_c:
        return x, context
    try:
        lead = torch.broadcast_shapes(lead_x, lead_c)
    except RuntimeError as error:
        raise ValueError(
            f"context of shape {tuple(context.shape)} does not fit x of shape {tuple(x.shape)}: "
            f"leading dimensions {tuple(lead_c)} and {tuple(lead_x)}"
        ) from error
    event, kind = x.shape[x.ndim - event_dims :], context.shape[context.ndim - context_dims :]
    return x.expand(*lead, *event), context.expand(*lead, *kind)


def expand_batch(x: Tensor, batch_shape: Shape, event_dims: int) -> Tensor:
    """Give x of shape (N, *event) the batch axes it lacks, as a view.

    Example:
        >>> expand_batch(torch.zeros(5, 2), (3,), 1).shape
        torch.Size([3, 5, 2])
    """
    if x.ndim >= len(batch_shape) + 1 + event_dims:
        return x
    return x.expand(*batch_shape, *x.shape)


def as_rows(x: Tensor, event_shape: Shape) -> Tensor:
    """The events of x (..., *event) as rows of numbers (..., D); vectors are such rows.

    Example:
        >>> as_rows(torch.zeros(5, 3, 4, 4), (3, 4, 4)).shape
        torch.Size([5, 48])
    """
    if len(event_shape) == 1:
        return x
    return x.reshape(*x.shape[: x.ndim - len(event_shape)], prod(event_shape))


def check_dtype(module: nn.Module, x: Tensor, name: str) -> None:
    """Refuse what is no tensor of the module's floating dtype: we never cast silently.

    Raises:
        TypeError: naming both dtypes and the two ways out.

    Example:
        >>> check_dtype(nn.Linear(2, 2), torch.zeros(2), "x")
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch tensor, got {type(x).__name__}")
    for tensor in chain(module.parameters(), module.buffers()):
        if not tensor.is_floating_point():
            continue
        if tensor.dtype != x.dtype:
            raise TypeError(
                f"{name} is {x.dtype} but the model is {tensor.dtype}: "
                f"convert one, with {name}.to({tensor.dtype}) or model.to({x.dtype})"
            )
        return


def size_of(sample_shape: int | Shape) -> tuple[Shape, int]:
    """Normalise a sample shape; return it with its number of points.

    Raises:
        ValueError: for a negative size.
        TypeError: for what is no integer, or a shape of them.

    Example:
        >>> size_of(3), size_of((2, 5))
        (((3,), 3), ((2, 5), 10))
    """
    sizes = sample_shape if isinstance(sample_shape, Sequence) else (sample_shape,)
    if not all(is_whole(s) for s in sizes):
        raise TypeError(f"sample_shape must be an integer or a shape, got {sample_shape!r}")
    if any(s < 0 for s in sizes):
        raise ValueError(f"sample_shape must not be negative, got {sample_shape!r}")
    shape = tuple(int(s) for s in sizes)
    return shape, prod(shape)
