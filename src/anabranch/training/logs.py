"""Progress bar, JSON lines and TensorBoard."""

import json
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from anabranch.training.options import FitOptions


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
        self.board: Any = None
        if options.tensorboard is not None and first:
            from torch.utils.tensorboard import SummaryWriter  # heavy, and an extra

            self.board = SummaryWriter(str(options.tensorboard))

    def write(self, entry: dict[str, float]) -> None:
        """Record one evaluation."""
        self.bar.n = int(entry["epoch"])
        score = entry.get("validation_nll", entry.get("validation_loss", entry["train_loss"]))
        self.bar.set_postfix(score=f"{score:.4f}", refresh=False)
        self.bar.refresh()
        if self.lines is not None:
            self.lines.write(json.dumps(entry) + "\n")
            self.lines.flush()
        if self.board is not None:
            for name, value in entry.items():
                self.board.add_scalar(name, value, entry["step"])

    def close(self) -> None:
        """Finish all outputs."""
        self.bar.close()
        if self.lines is not None:
            self.lines.close()
        if self.board is not None:
            self.board.close()
