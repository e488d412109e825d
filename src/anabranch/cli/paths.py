"""Which files a command reads and writes."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from anabranch.data.atomic import check_output, is_special


def check_files(reads: Iterable[Path], writes: Mapping[str, Path | None]) -> None:
    """Make sure, before anything is read, that all outputs can be written, each over nothing else.

    Args:
        reads: the inputs.
        writes: the outputs by the option that names them, None where it is not given. Pipes and
            devices may be named more than once.

    Raises:
        OSError: where an output cannot be written.
        ValueError: where an output is an input or another output, also by a link.

    Example:
        >>> check_files([Path("a.csv")], {"--output": Path("./a.csv")})
        Traceback (most recent call last):
        ValueError: --output a.csv is an input, too; give two names
    """
    taken = {_identity(path): "an input" for path in reads}
    for option, path in writes.items():
        if path is None:
            continue
        check_output(path)
        if is_special(path):
            continue
        key = _identity(path)
        if key in taken:
            raise ValueError(f"{option} {path} is {taken[key]}, too; give two names")
        taken[key] = option


def _identity(path: Path) -> object:
    """What all names of a file have in common, those by links included."""
    try:
        status = path.stat()
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino
