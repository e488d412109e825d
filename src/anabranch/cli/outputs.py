"""Where results go, checked before long work is done."""

import os
from pathlib import Path


def check_output(path: Path) -> None:
    """Raise the error that writing this file would end in, as far as it can be foreseen.

    Raises:
        OSError: where the folder is missing or read-only, or the path is a folder.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {target.parent}")
    if not os.access(target if is_device(target) else target.parent, os.W_OK):
        raise PermissionError(f"cannot write {path}: no permission to write in {target.parent}")


def is_device(path: Path) -> bool:
    """Whether a path is a device or a pipe, which is written without a rename."""
    return path.exists() and not (path.is_file() or path.is_dir())
