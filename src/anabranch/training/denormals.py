"""Numbers too small for a normal floating-point number, taken for zero."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Let this thread take denormal numbers for zero, for the length of the block.

    A processor takes some hundred cycles for an operation with one. Where clusters are apart, the
    responsibilities of most components are of that size, and so are all gradients that they weigh:
    half of the time of a step of the default fit on five separate clusters. They are below what
    single precision adds to anything. Where the processor cannot do it, nothing is changed.

    Example:
        >>> with flushed_denormals():
        ...     bool(torch.full((1,), 2e-38) * 1e-2 == 0)
        True
        >>> bool(torch.full((1,), 2e-38) * 1e-2 == 0)
        False
    """
    if _flushed() or not torch.set_flush_denormal(True):
        yield
        return
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _flushed() -> bool:
    """Whether this thread does so already: torch sets the mode, but does not tell it."""
    return bool(torch.full((1,), 1e-20, dtype=torch.float32, device="cpu") * 1e-20 == 0)
