"""The metrics of runs in TensorBoard."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from anabranch.training.callbacks import Callback
from anabranch.training.options import FitOptions
from anabranch.training.result import FitResult


class TensorBoardTracker(Callback):
    """Writes the metrics of each stage to a folder of its own, which TensorBoard shows as a run.

    Args:
        folder: of them.
        by_stage: whether stages are kept apart; else all are written to the folder itself.

    Raises:
        ImportError: where tensorboard is not installed (extra ``track``), once a run begins.

    Example:
        >>> from anabranch.training import callbacks
        >>> with callbacks(TensorBoardTracker("runs")):
        ...     pass  # the fits of this block are written
    """

    def __init__(self, folder: str | PathLike[str], *, by_stage: bool = True) -> None:
        self.folder, self.by_stage = Path(folder), by_stage

    def on_start(self, stage: str | None, options: FitOptions) -> None:
        """Open the folder."""
        try:
            from torch.utils.tensorboard import SummaryWriter  # heavy, and an extra
        except ImportError as error:
            raise ImportError(
                "TensorBoard is not installed: pip install anabranch[track]"
            ) from error
        name = (stage or "fit").replace(" ", "-")
        self._board = SummaryWriter(str(self.folder / name if self.by_stage else self.folder))

    def on_evaluation(self, stage: str | None, entry: Mapping[str, float]) -> None:
        """Write the terms at their step."""
        for name, value in entry.items():
            self._board.add_scalar(name, value, int(entry["step"]))
        self._board.flush()

    def on_end(self, stage: str | None, result: FitResult | None) -> None:
        """Close it."""
        self._board.close()
