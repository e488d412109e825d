"""Checkpoints: the whole state of a run in one archive."""

from pathlib import Path
from typing import Any

from anabranch.archive import read_archive, write_archive


def save_checkpoint(path: str | Path, tree: dict[str, Any]) -> None:
    """Write the state of a run, atomically: an older checkpoint stays until the new one is whole.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "run.checkpoint"
        >>> save_checkpoint(path, {"identity": {"rows": 3}, "epoch": 2})
        >>> load_checkpoint(path, {"rows": 3})["epoch"]
        2
    """
    write_archive(path, "checkpoint", tree)


def load_checkpoint(path: str | Path, identity: dict[str, Any]) -> dict[str, Any]:
    """Read the state of a run that has this identity.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: where it is damaged, or belongs to another run; names what differs.
    """
    tree = read_archive(path, "checkpoint")
    saved = tree.get("identity", {})
    different = [key for key in identity if saved.get(key) != identity[key]]
    if different:
        raise ValueError(
            f"{path} is the checkpoint of another run: it differs in {', '.join(different)}. "
            "Resume with the data and settings of that run, or start anew"
        )
    return tree
