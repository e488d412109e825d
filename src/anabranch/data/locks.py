"""Files that one process at a time may write."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # where there are no such locks, nothing is held
    fcntl = None

_held: set[str] = set()


@contextmanager
def locked(path: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a file for the length of the block, by a lock on a hidden file beside it.

    The system lets go of it however the process ends. What this process holds already, it holds.

    Args:
        path: The file that will be written.

    Raises:
        BlockingIOError: If another process holds it.
        OSError: If nothing can be written there.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "run.checkpoint"
        >>> with locked(path):
        ...     [file.name for file in path.parent.iterdir()]
        ['.run.checkpoint.lock']
        >>> list(path.parent.iterdir())
        []
    """
    target = Path(os.path.realpath(path))
    lock = str(target.with_name(f".{target.name}.lock"))
    if fcntl is None or lock in _held:
        yield
        return
    try:
        descriptor = _taken(lock)
    except OSError as error:
        there = target.parent.is_dir()
        reason = error.strerror if there else f"there is no folder {target.parent}"
        raise type(error)(f"cannot write {os.fspath(path)}: {reason}") from error
    if descriptor is None:
        raise BlockingIOError(
            f"another process is writing {os.fspath(path)}: wait for it, or choose another file"
        )
    _held.add(lock)
    try:
        yield
    finally:
        _held.discard(lock)
        os.unlink(lock)
        os.close(descriptor)


def take(descriptor: int) -> bool:
    """Take the lock of an open file, unless another process has it."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _taken(lock: str) -> int | None:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        if not take(descriptor):
            os.close(descriptor)
            return None
        try:  # whoever held it may have removed it in between
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)
