"""Progress bar, JSON lines, and callbacks."""

import json
import sys
from pathlib import Path

from tqdm import tqdm

from anabranch.training.callbacks import Callback, active_callbacks
from anabranch.training.options import FitOptions
from anabranch.training.result import FitResult
from anabranch.training.tensorboard import TensorBoardTracker


class Logs:
    """Where the metrics of a run go; only the first process writes.

    Args:
        options: which outputs are wanted.
        rank: number of the process.
        stage: what the bar is named after.
    """

    def __init__(self, options: FitOptions, rank: int = 0, stage: str | None = None) -> None:
        first = rank == 0
        shown = options.progress if options.progress is not None else sys.stderr.isatty()
        self.bar = tqdm(
            total=options.max_epochs, desc=stage, unit="epoch", disable=not (shown and first)
        )
        self.lines = None
        if options.log_path is not None and first:
            self.lines = Path(options.log_path).open("a", encoding="utf-8")  # noqa: SIM115
        told: tuple[Callback, ...] = active_callbacks() if first else ()
        if options.tensorboard is not None and first:
            told += (TensorBoardTracker(options.tensorboard, by_stage=False),)
        self.stage, self.callbacks = stage, told
        for callback in self.callbacks:
            callback.on_start(stage, options)

    def write(self, entry: dict[str, float]) -> None:
        """Record one evaluation."""
        self.bar.n = int(entry["epoch"])
        score = entry.get("validation_nll", entry.get("validation_loss", entry["train_loss"]))
        self.bar.set_postfix(score=f"{score:.4f}", refresh=False)
        self.bar.refresh()
        if self.lines is not None:
            self.lines.write(json.dumps(entry) + "\n")
            self.lines.flush()
        for callback in self.callbacks:
            callback.on_evaluation(self.stage, entry)

    def finish(self, result: FitResult | None) -> None:
        """Tell of the end of a run; None for one that was cut short."""
        for callback in self.callbacks:
            callback.on_end(self.stage, result)

    def close(self) -> None:
        """Finish all outputs."""
        self.bar.close()
        if self.lines is not None:
            self.lines.close()
