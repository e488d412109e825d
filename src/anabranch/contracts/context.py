"""The context: checked once at the public boundary of transforms and distributions alike."""

from typing import Protocol

from torch import Tensor, nn

from anabranch.functional import check_dtype
from anabranch.functional.shapes import Shape


class TakesContext(Protocol):
    """Whatever declares the shape of its context."""

    context_shape: Shape


def vector_size(context_shape: Shape) -> int:
    """The size of a vector context, 0 for none.

    Raises:
        ValueError: for a context that is no vector.

    Example:
        >>> vector_size((3,)), vector_size(())
        (3, 0)
    """
    if len(context_shape) > 1:
        raise ValueError(f"a vector context is needed, got one of shape {context_shape}")
    return context_shape[0] if context_shape else 0


def common_context(one: TakesContext, other: TakesContext, names: tuple[str, str]) -> Shape:
    """The context shape of two parts, either of which may take none.

    Raises:
        ValueError: naming both, where they take unlike ones.
    """
    if one.context_shape and other.context_shape and one.context_shape != other.context_shape:
        raise ValueError(
            f"{names[0]} takes a context of shape {one.context_shape}, "
            f"{names[1]} one of shape {other.context_shape}"
        )
    return one.context_shape or other.context_shape


def needed_context(module: nn.Module, shape: Shape, context: Tensor | None) -> Tensor | None:
    """The context where one of that shape is declared, None where none is.

    Raises:
        ValueError: where it is missing, or has another shape.
        TypeError: for a dtype other than the module's.
    """
    if not shape:
        return None
    inside = ", ".join(str(size) for size in shape)
    if context is None:
        raise ValueError(f"context of shape (..., {inside}) is required")
    lead = context.ndim - len(shape)
    if lead < 0 or tuple(context.shape[lead:]) != shape:
        raise ValueError(f"context must have shape (..., {inside}), got {tuple(context.shape)}")
    check_dtype(module, context, "context")
    return context
