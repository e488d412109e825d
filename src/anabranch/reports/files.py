"""Writing a file whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path`: the file is there whole, or as it was before.

    Args:
        path: File to write; its folder must exist.
        content: What the file will hold.

    Raises:
        OSError: When the folder is missing or cannot be written to, or the disk is full.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "a.txt", b"ab")
    ...     (Path(folder) / "a.txt").read_bytes()
    b'ab'
    """
    target = Path(path)
    check_writable_target(target)
    if target.exists() and not target.is_file():
        # A device or a pipe: a rename would replace it by a file.
        target.write_bytes(content)
        return
    _write_then_rename(target, lambda temporary: temporary.write_bytes(content))


def check_writable_target(target: Path) -> None:
    """Raise the OSError that says why `target` cannot be a file, before long work is done."""
    if target.is_dir():
        raise IsADirectoryError(f"path: {str(target)!r} is a folder; expected the name of a file.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"path: the folder {str(target.parent)!r} does not exist; make it first."
        )


def _write_then_rename(target: Path, write: Callable[[Path], object]) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
