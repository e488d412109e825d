"""Ctrl-C between steps, never within one."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def deferred_interrupt(*, enabled: bool) -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a flag for the length of the block.

    A second signal interrupts at once. Outside the main thread, where Python allows no handlers,
    and where not enabled, nothing changes and the flag stays False.

    Example:
        >>> with deferred_interrupt(enabled=True) as interrupted:
        ...     signal.raise_signal(signal.SIGINT)
        ...     interrupted()
        True
    """
    seen = False

    def note(number: int, frame: object) -> None:
        nonlocal seen
        if seen:
            raise KeyboardInterrupt
        seen = True

    if not enabled or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, note) for number in signals]
    try:
        yield lambda: seen
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
