"""Threads for the work at hand."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch

# Multiply-adds of one step below which waking other threads costs more than they give.
SMALL_STEP = 2e8

# A forked process has lost the threads of its parent's pool, and would wait for them for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


@contextmanager
def threads_for(step_size: float) -> Iterator[int]:
    """Use one thread for small steps, for the length of the block.

    Two threads that share a busy core wait for each other at every small operation: a step of
    milliseconds can then take ten times as long.

    Args:
        step_size: multiply-adds of a step, about rows times parameters.

    Example:
        >>> with threads_for(1e6) as threads:
        ...     threads
        1
    """
    before = torch.get_num_threads()
    threads = 1 if step_size < SMALL_STEP else before
    torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)
