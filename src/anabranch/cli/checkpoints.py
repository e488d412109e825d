"""The checkpoint of a fit."""

from pathlib import Path

from anabranch.archive import ArchiveError, read_archive
from anabranch.cli.job import note


def prepare_checkpoint(path: Path, *, resume: bool | None) -> None:
    """Make sure that a fit goes on where it should, and that no unfinished one is lost unasked.

    Args:
        path: the checkpoint.
        resume: True to go on, False to discard what is there; None where nobody has said.

    Raises:
        FileNotFoundError: where there is nothing to go on from.
        ValueError: where there is something and nobody has said what to do with it, or where it
            is no checkpoint.
    """
    if resume:
        if not path.exists():
            raise FileNotFoundError(f"there is no checkpoint {path} to resume from")
        return
    if not path.exists():
        return
    _require_checkpoint(path)
    if resume is None:
        raise ValueError(
            f"{path} holds an unfinished fit: go on with it by --resume, or discard it by "
            "--no-resume"
        )
    path.unlink()
    note(f"the unfinished fit in {path} is discarded")


def _require_checkpoint(path: Path) -> None:
    try:
        read_archive(path, "checkpoint")
    except ArchiveError as error:
        raise ValueError(
            f"{error}; it stands where the checkpoint should go: choose another --checkpoint"
        ) from error
