"""Ctrl-C between steps, never within one; SIGTERM and SIGHUP are heard as it is."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# a system may lack some
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


@contextmanager
def deferred_interrupt(*, enabled: bool) -> Iterator[Callable[[], bool]]:
    """Turn SIGINT, SIGTERM and SIGHUP into a flag for the length of the block.

    A second signal interrupts at once. One that is ignored, as under nohup, stays so. Outside the
    main thread, where Python allows no handlers, and where not enabled, nothing changes and the
    flag stays False.

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

    if not enabled:
        yield lambda: False
        return
    with handled(note):
        yield lambda: seen


@contextmanager
def handled(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Handle the signals that end a process, where they are not ignored, by a function.

    Example:
        >>> with handled(lambda number, frame: print(number)):
        ...     signal.raise_signal(signal.SIGTERM)
        15
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
