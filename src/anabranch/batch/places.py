"""Where the files of a job are: on this machine, or behind an address such as "s3://bucket/days"."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path, PurePosixPath
from typing import Any

from anabranch.data.atomic import atomic_write
from anabranch.data.extras import pyarrow_module
from anabranch.data.formats import ENDINGS
from anabranch.data.matching import matching_paths

StrPath = str | PathLike[str]


def is_remote(address: StrPath) -> bool:
    """Whether that is an address of another place than the file system of this machine.

    Example:
        >>> is_remote("s3://bucket/a.csv"), is_remote("file:///a.csv"), is_remote("a.csv")
        (True, False, False)
    """
    text = fspath(address)
    return "://" in text and not text.lower().startswith("file:")


def filesystem(address: str) -> tuple[Any, str]:
    """The file system of an address, by fsspec or by pyarrow, and the path within it.

    Raises:
        ValueError: for one that neither of them knows.
    """
    import fsspec  # comes with torch

    try:
        return fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:  # s3fs and gcsfs are packages of their own
        reason = str(error)
    try:
        from fsspec.implementations.arrow import ArrowFSWrapper

        system, path = pyarrow_module("pyarrow.fs").FileSystem.from_uri(address)
    except Exception as error:  # pyarrow's are of many kinds
        raise ValueError(f"{address} cannot be reached: {reason}") from error
    return ArrowFSWrapper(system), path


def tables_of(given: StrPath) -> Iterator[tuple[str, str]]:
    """The tables behind a file, a folder or a pattern: their addresses, and names to tell them.

    Raises:
        FileNotFoundError: where there is nothing of that name.
        ValueError: for an address that cannot be reached.
    """
    if not is_remote(given):
        for path in matching_paths(given):
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            for file in files:
                name = str(file.relative_to(path)) if path.is_dir() else file.name
                if file == path or (file.is_file() and _is_table(name)):
                    yield str(file.absolute()), name
        return
    text = fspath(given)
    system, path = filesystem(text)
    matches = sorted(system.glob(path)) if any(c in path for c in "*?[") else [path]
    matches = [match for match in matches if system.exists(match)]
    if not matches:
        raise FileNotFoundError(f"there is no file or folder {text}")
    for match in matches:
        whole = system.isdir(match)
        for file in sorted(system.find(match)) if whole else [match]:
            name = str(PurePosixPath(file).relative_to(match)) if whole else Path(file).name
            if not whole or _is_table(name):
                yield system.unstrip_protocol(file), name


def _is_table(name: str) -> bool:
    hidden = any(part.startswith((".", "_")) for part in PurePosixPath(name).parts)
    return not hidden and name.lower().endswith(tuple(ENDINGS))


def identity(address: str) -> list[Any]:
    """What tells a file from what it was before."""
    if is_remote(address):
        system, path = filesystem(address)
        return [address, system.info(path)["size"], system.ukey(path)]
    status = Path(address).stat()
    return [str(Path(address).resolve()), status.st_size, status.st_mtime_ns]


@contextmanager
def local_copy(address: str) -> Iterator[Path]:
    """The file on this machine: itself, or a copy for as long as the block lasts."""
    if not is_remote(address):
        yield Path(address)
        return
    system, path = filesystem(address)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / PurePosixPath(path).name
        system.get_file(path, str(copy))
        yield copy


class Folder:
    """Where the parts of a job are written.

    Args:
        address: of the folder.

    Example:
        >>> folder = Folder("memory://parts")
        >>> folder.write("a.txt", b"1")
        >>> folder.read("a.txt"), folder.holds("b.txt"), folder.read("b.txt")
        (b'1', False, None)
    """

    def __init__(self, address: StrPath) -> None:
        self.address = fspath(address)
        self.local = None if is_remote(address) else Path(address).absolute()

    def __str__(self) -> str:
        return self.address

    def make(self) -> None:
        """Make it where it is missing; object stores have no folders to make."""
        if self.local is not None:
            self.local.mkdir(parents=True, exist_ok=True)

    def holds(self, name: str) -> bool:
        """Whether there is a file of that name."""
        if self.local is not None:
            return (self.local / name).is_file()
        system, path = self._place(name)
        return system.isfile(path)

    def read(self, name: str) -> bytes | None:
        """The content of a file, None where there is none."""
        if not self.holds(name):
            return None
        if self.local is not None:
            return (self.local / name).read_bytes()
        system, path = self._place(name)
        return system.cat_file(path)

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole: by one rename, or by one PUT."""
        if self.local is not None:
            with atomic_write(self.local / name) as file:
                file.write(content)
            return
        system, path = self._place(name)
        system.pipe_file(path, content)

    @contextmanager
    def part(self, name: str) -> Iterator[Path]:
        """A file of this machine to write, which is there once the block has ended."""
        if self.local is not None:
            yield self.local / name  # the writer renames it
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / name
            yield copy
            system, path = self._place(name)
            system.put_file(str(copy), path)

    def _place(self, name: str) -> tuple[Any, str]:
        system, path = filesystem(self.address)
        return system, f"{path.rstrip('/')}/{name}"
