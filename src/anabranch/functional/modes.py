"""Under what torch runs: autocast, a compiler, a transform of `torch.func`, its defaults."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

import torch


def traced() -> bool:
    """Whether values cannot be looked at, since a compiler or `torch.func` runs the code.

    Example:
        >>> traced(), torch.func.vmap(lambda x: x + traced())(torch.zeros(1))
        (False, tensor([1.]))
    """
    return torch.compiler.is_compiling() or transformed()


def transformed() -> bool:
    """Whether a transform of `torch.func` runs the code.

    Example:
        >>> transformed(), torch.func.vmap(lambda x: x + transformed())(torch.zeros(1))
        (False, tensor([1.]))
    """
    # torch has no public way to ask; its own Python code asks so
    return torch._C._are_functorch_transforms_active()  # pyright: ignore


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


@contextmanager
def usual_torch() -> Iterator[None]:
    """Single precision on the CPU with derivatives, whatever a process has set, for a while.

    Example:
        >>> with torch.inference_mode(), usual_torch():
        ...     torch.zeros(1, requires_grad=True).exp().requires_grad
        True
    """
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    with ExitStack() as stack:
        stack.callback(torch.set_default_dtype, dtype)
        torch.set_default_dtype(torch.float32)
        if device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in {"cpu", device.type, *(["cuda"] if torch.cuda.is_available() else [])}:
            stack.enter_context(full_precision(torch.device(kind)))
        yield
