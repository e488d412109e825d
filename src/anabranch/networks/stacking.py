"""Taking one component out of a stack, as a view."""

import copy
from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


def select_component(module: M, index: int) -> M:
    """The module of one component of a stack, sharing its memory.

    Every module with parameters keeps them on a leading component axis and says so in its
    ``batch_shape``; one without a batch_shape is shared by all components and taken as it is, and
    so are the buffers that a class names in ``shared_buffers``.

    Args:
        module: a module built with ``batch_shape=(K,)``.
        index: which component, 0..K-1.

    Returns:
        A module with ``batch_shape == ()`` whose parameters are views of the stack's.

    Example:
        >>> from anabranch.networks import Linear
        >>> stack = Linear(2, 3, batch_shape=(5,))
        >>> select_component(stack, 4).weight.shape
        torch.Size([3, 2])
    """
    if getattr(module, "batch_shape", None) == ():
        return module  # shared whole: what it may stack inside (a mixture base) is its own axis
    picked = copy.copy(module)
    state = picked.__dict__ = dict(module.__dict__)
    state["_modules"] = {
        name: None if child is None else select_component(child, index)
        for name, child in module._modules.items()
    }
    batch_shape = getattr(module, "batch_shape", ())
    if batch_shape:
        shared = getattr(module, "shared_buffers", ())
        for kind in ("_parameters", "_buffers"):
            state[kind] = {
                name: tensor if tensor is None or name in shared else tensor[index]
                for name, tensor in state[kind].items()
            }
        state["batch_shape"] = batch_shape[1:]
    return picked
