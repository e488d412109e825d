"""Which format a file has, and the errors that all readers share."""

import gzip
import lzma
import stat
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

Format = Literal["csv", "parquet", "arrow", "json", "xlsx", "npy", "npz", "idx"]

COMPRESSED = ("", ".gz", ".xz", ".bz2", ".zst")
ENDINGS: dict[str, Format] = {
    **{f"{text}{zipped}": "csv" for text in (".csv", ".tsv", ".txt") for zipped in COMPRESSED},
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".jsonl": "json",
    ".ndjson": "json",
    ".jsonl.gz": "json",
    ".jsonl.bz2": "json",
    ".jsonl.zst": "json",
    ".xlsx": "xlsx",
    ".npy": "npy",
    ".npz": "npz",
    ".idx": "idx",
    ".idx.gz": "idx",
    "-ubyte": "idx",
    "-ubyte.gz": "idx",
}
# Numbers shrink to a tenth, seldom to a hundredth; nothing but zeros, to a thousandth.
_MOST_EXPANSION = 250
_ANY_EXPANSION = 1 << 27
_IDX_TYPES = (0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E)


def detect_format(path: Path) -> Format:
    """Tell the format of an existing, non-empty file by its name; IDX also by its first bytes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no regular file, is empty, or has an unknown ending.
    """
    _check_readable(path)
    for ending, format_ in ENDINGS.items():
        if path.name.lower().endswith(ending):
            return format_
    if _starts_like_idx(path):
        return "idx"
    raise ValueError(f"cannot tell the format of {path}: the name must end in {', '.join(ENDINGS)}")


def _check_readable(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is not a regular file")
    if status.st_size == 0:
        raise ValueError(f"{path} is empty")


def _starts_like_idx(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] == b"\x1f\x8b":
        with damaged_file_errors(path), gzip.open(path) as file:
            start = file.read(4)
    return len(start) == 4 and start[:2] == b"\0\0" and start[2] in _IDX_TYPES and start[3] > 0


@contextmanager
def damaged_file_errors(path: Path) -> Iterator[None]:
    """Turn what decompressors raise for truncated or foreign files into a ValueError."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise ValueError(f"{path} is truncated or damaged: {error}") from error
    except OSError as error:  # bz2 and Arrow's zstd have no class of their own
        if error.errno is not None or path.suffix.lower() not in (".bz2", ".zst"):
            raise
        raise ValueError(f"{path} is truncated or damaged: {error}") from error


def check_expansion(path: Path, size: int) -> None:
    """Refuse what a small file would fill the memory with.

    Raises:
        ValueError: If this many bytes are hundreds of times those of the file.
    """
    if size > max(_ANY_EXPANSION, _MOST_EXPANSION * path.stat().st_size):
        raise ValueError(
            f"{path} expands to {size} bytes or more, over {_MOST_EXPANSION} times its own size, "
            "which data hardly do; decompress it yourself if you trust it"
        )


def select_columns(path: Path, available: list[str], wanted: Sequence[str]) -> list[str]:
    """Return `wanted` after checking that each is available, once, and named once.

    Raises:
        ValueError: If a column is unknown, which lists close matches, or it is not clear which is
            meant.
    """
    have = Counter(available)
    for name, count in Counter(wanted).items():
        if name not in have:
            raise ValueError(f"{path} has no column {name!r}; {_suggestion(name, available)}")
        if max(count, have[name]) > 1:
            raise ValueError(f"the columns of {path} hold {name!r} more than once")
    return list(wanted)


def _suggestion(name: str, available: list[str]) -> str:
    close = get_close_matches(name, available, n=3)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    shown = ", ".join(map(repr, available[:8])) + (", ..." if len(available) > 8 else "")
    return f"its columns are {shown}"
