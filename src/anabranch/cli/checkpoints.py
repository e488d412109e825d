"""The checkpoints of a fit, one for each start that it compares."""

from pathlib import Path

from anabranch.archive import ArchiveError, read_archive
from anabranch.cli.job import note


def found_checkpoints(path: Path) -> list[Path]:
    """Those that exist: PATH for the first start, PATH.1, PATH.2, ... for the further ones."""
    return [path] * path.exists() + [
        other for other in sorted(path.parent.glob(f"{path.name}.*")) if other.suffix[1:].isdigit()
    ]


def prepare_checkpoints(path: Path, *, resume: bool | None) -> None:
    """Make sure that a fit goes on where it should, and that no unfinished one is lost unasked.

    Args:
        path: the first checkpoint.
        resume: True to go on, False to discard what is there; None where nobody has said.

    Raises:
        FileNotFoundError: where there is nothing to go on from.
        ValueError: where there is something and nobody has said what to do with it, or where it
            is no checkpoint.
    """
    found = found_checkpoints(path)
    if resume:
        if path not in found:
            raise FileNotFoundError(f"there is no checkpoint {path} to resume from")
        return
    for other in found:
        _require_checkpoint(other)
    if found and resume is None:
        raise ValueError(
            f"{found[0]} holds an unfinished fit: go on with it by --resume, or discard it by "
            "--no-resume"
        )
    remove_checkpoints(path)
    if found:
        note(f"the unfinished fit in {found[0]} is discarded")


def remove_checkpoints(path: Path) -> None:
    """Remove the checkpoints of all starts."""
    for other in found_checkpoints(path):
        other.unlink()


def _require_checkpoint(path: Path) -> None:
    try:
        read_archive(path, "checkpoint")
    except ArchiveError as error:
        raise ValueError(
            f"{error}; it stands where the checkpoint should go: choose another --checkpoint"
        ) from error
