"""The checkpoint of a fit."""

from pathlib import Path

from anabranch.archive import ArchiveError, read_archive
from anabranch.cli.job import note
from anabranch.estimators.stages import stage_files


def prepare_checkpoint(path: Path, *, resume: bool | None, staged: bool = False) -> None:
    """Make sure that a fit goes on where it should, and that no unfinished one is lost unasked.

    Args:
        path: the checkpoint.
        resume: True to go on, False to discard what is there; None where nobody has said.
        staged: whether the fit has stages, each with a file of its own beside that path.

    Raises:
        FileNotFoundError: where there is nothing to go on from.
        ValueError: where there is something and nobody has said what to do with it, or where it
            is no checkpoint, or that of another kind of model.
    """
    own, others = (checkpoint_files(path, staged=kind) for kind in (staged, not staged))
    if resume:
        if others and not own:
            raise ValueError(f"{others[0]} is the checkpoint of another kind of --model")
        if not own:
            raise FileNotFoundError(f"there is no checkpoint {path} to resume from")
        return
    files = own + others
    for file in files:
        _require_checkpoint(file)
    if not files:
        return
    shown = ", ".join(map(str, files))
    if resume is None:
        raise ValueError(
            f"{shown} holds an unfinished fit: go on with it by --resume, or discard it by "
            "--no-resume"
        )
    for file in files:
        file.unlink()
    note(f"the unfinished fit in {shown} is discarded")


def checkpoint_files(path: Path | None, *, staged: bool) -> list[Path]:
    """The files that hold the state of an unfinished fit, or of its stages."""
    if path is None:
        return []
    if staged:
        return stage_files(path)
    return [path] if path.exists() else []


def _require_checkpoint(path: Path) -> None:
    try:
        read_archive(path, "checkpoint")
    except ArchiveError as error:
        raise ValueError(
            f"{error}; it stands where the checkpoint should go: choose another --checkpoint"
        ) from error
