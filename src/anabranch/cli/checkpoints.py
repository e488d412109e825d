"""The checkpoint of a fit."""

from pathlib import Path

from anabranch.archive import ModelFileError, read_archive
from anabranch.cli.job import note
from anabranch.cli.kinds import KINDS
from anabranch.estimators.estimator import Estimator


def prepare_checkpoint(path: Path, estimator: type[Estimator], *, resume: bool | None) -> None:
    """Make sure that a fit goes on where it should, and that no unfinished one is lost unasked.

    Args:
        path: the checkpoint.
        estimator: what is fitted.
        resume: True to go on, False to discard what is there; None where nobody has said.

    Raises:
        FileNotFoundError: where there is nothing to go on from.
        ValueError: where there is something and nobody has said what to do with it, or where it
            is no checkpoint, or that of another kind of model.
    """
    own = estimator.checkpoint_files(path)
    found = {file for kind in KINDS.values() for file in kind.load().checkpoint_files(path)}
    files = [*own, *sorted(found - set(own))]
    if resume:
        if files and not own:
            raise ValueError(f"{files[0]} is the checkpoint of another kind of --model")
        if not own:
            raise FileNotFoundError(f"there is no checkpoint {path} to resume from")
        return
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


def _require_checkpoint(path: Path) -> None:
    try:
        read_archive(path, "checkpoint")
    except ModelFileError as error:
        raise ValueError(
            f"{error}; it stands where the checkpoint should go: choose another --checkpoint"
        ) from error
