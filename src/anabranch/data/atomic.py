"""Files that appear complete or not at all."""

import io
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from anabranch.data.locks import take

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STANDARD_OUTPUT = "/dev/stdout"


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that takes its name only when the block ends without an error.

    The data go to a temporary name in the same folder, which is renamed once they are on the disk,
    or removed when anything is raised: a file that was there before stays as it was, and one that
    takes its place has its mode. A symbolic link stays one. What killed processes have left under
    temporary names is removed. A target that exists and is no regular file, such as a pipe or
    `/dev/stdout`, is written directly.

    Args:
        path: The file to write.

    Raises:
        OSError: If the folder is missing or read-only, the path is a folder or a file that is
            read-only, the disk is full.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "result.bin"
        >>> with atomic_write(path) as file:
        ...     _ = file.write(b"done")
        ...     print(path.exists())
        False
        >>> path.read_bytes()
        b'done'
    """
    if os.fspath(path) == STANDARD_OUTPUT:  # a pipe there has no path that could be opened
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(os.path.realpath(path))
    if is_special(target):
        with _open(target, "wb", path) as file:
            yield file
        return
    with _naming(path):
        _check_target(target)
    _remove_stale(target)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with _open(temporary, "xb", path) as file:
            take(file.fileno())
            yield file
            file.flush()
            with _naming(path):
                if target.exists():
                    os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
                os.fsync(file.fileno())
        with _naming(path):
            os.replace(temporary, target)
            _sync_folder(target.parent)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise


def check_output(path: str | os.PathLike[str]) -> None:
    """Raise the error that writing a file would end in, as far as it can be foreseen.

    Long work calls it before it begins.

    Args:
        path: The file that will be written.

    Raises:
        OSError: If the folder is missing or read-only, or the path is a folder or a read-only file.

    Example:
        >>> check_output("/none/result.csv")
        Traceback (most recent call last):
        ...
        FileNotFoundError: cannot write /none/result.csv: there is no folder /none
    """
    if os.fspath(path) == STANDARD_OUTPUT:
        return
    target = Path(os.path.realpath(path))
    with _naming(path):
        _check_target(target)
        if not os.access(target if is_special(target) else target.parent, os.W_OK):
            raise PermissionError(None, f"no permission to write in {target.parent}")


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether a path exists and is neither a regular file nor a folder, or standard output."""
    if os.fspath(path) == STANDARD_OUTPUT:
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


class _NamedFile(io.FileIO):
    """A file whose errors name what the user asked for; the system's do not name a file."""

    def __init__(self, path: Path, mode: str, shown: str | os.PathLike[str]) -> None:
        self._shown = shown
        with _naming(shown):
            super().__init__(path, mode)

    def write(self, data: "ReadableBuffer", /) -> int:
        with _naming(self._shown):
            return super().write(data)


def _open(path: Path, mode: str, shown: str | os.PathLike[str]) -> BinaryIO:
    return io.BufferedWriter(_NamedFile(path, mode, shown))


def _check_target(target: Path) -> None:
    if not target.parent.is_dir():
        raise FileNotFoundError(None, f"there is no folder {target.parent}")
    if target.is_dir():
        raise IsADirectoryError(None, "it is a folder")
    # asked of the mode, for a superuser may write anything
    if target.is_file() and not target.stat().st_mode & 0o222:
        raise PermissionError(None, "it is read-only")


def _remove_stale(target: Path) -> None:
    """Remove temporary files of that target whose writer is gone: it held their lock."""
    name = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.tmp")
    for file in target.parent.iterdir():
        if name.fullmatch(file.name):
            with suppress(OSError), file.open("rb") as stale:
                if take(stale.fileno()):
                    file.unlink()


def _sync_folder(folder: Path) -> None:
    """Let a new name outlast a power failure, where folders can be synchronised."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        named = type(error)(f"cannot write {os.fspath(path)}: {error.strerror}")
        named.errno = error.errno
        raise named from error
