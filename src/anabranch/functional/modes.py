"""Under what torch runs: autocast, a compiler, a transform of `torch.func`."""

from contextlib import AbstractContextManager, nullcontext

import torch


def traced() -> bool:
    """Whether values cannot be looked at, since a compiler or `torch.func` runs the code.

    Example:
        >>> traced(), torch.func.vmap(lambda x: x + traced())(torch.zeros(1))
        (False, tensor([1.]))
    """
    # torch has no public way to ask for the second; its own Python code asks so
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()  # pyright: ignore


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Keep autocast out: a map multiplies data, whose digits the density needs, as they are.

    Example:
        >>> a = torch.full((1, 1), 1.001)
        >>> with torch.autocast("cpu", torch.bfloat16), full_precision(a.device):
        ...     a @ a
        tensor([[1.0020]])
    """
    known = torch.amp.is_autocast_available(device.type)  # not on the meta device
    if known and torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
