"""The settings of a fit."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from pathlib import Path

from anabranch.training.precision import MODES

# The least values of whole numbers, and the ranges of others.
LEAST = {
    "max_epochs": 0,
    "batch_size": 1,
    "patience": 0,
    "min_evaluation_steps": 1,
    "max_skipped": 1,
    "max_rollbacks": 0,
    "checkpoint_steps": 1,
}
RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "learning_rate": ("a positive number", lambda rate: 0 < rate < math.inf),
    "weight_decay": ("a number of at least 0", lambda decay: 0 <= decay < math.inf),
    "average": ("a number in [0, 1)", lambda decay: 0 <= decay < 1),
    "clip_norm": ("None or a positive number", lambda norm: norm > 0),
}
MAY_BE_NONE = ("patience", "clip_norm")


@dataclass(frozen=True)
class FitOptions:
    """How long, how fast, and what is kept.

    Attributes:
        max_epochs: upper limit of passes over the data.
        batch_size: rows per step, over all processes; the last partial batch of an epoch is
            dropped (rows are reshuffled), so that shapes stay fixed.
        learning_rate: of Adam.
        weight_decay: decoupled (AdamW).
        average: decay per step of an exponential moving average of the parameters, which is what
            is scored and kept; 0 for the parameters themselves.
        clip_norm: largest gradient norm; None for no clipping.
        patience: evaluations without improvement before stopping; None to run all epochs.
        min_evaluation_steps: evaluate at the end of an epoch, at least this many steps apart.
        monitor: name of the validation term to minimise, or "loss" for the total.
        max_skipped: non-finite steps in a row before the last good state is restored.
        max_rollbacks: restorations before the run is stopped as diverged.
        compile: run the model through torch.compile (fixed batch size; seconds to minutes once).
        matmul: kernels of matrix products: "auto", "default" or "fast"; see
            `anabranch.training.precision.matrix_products`.
        checkpoint: file to write the state of the run to; None for none.
        checkpoint_steps: steps between checkpoints.
        log_path: file for metrics as JSON lines; None for none.
        tensorboard: folder for TensorBoard; None for none.
        progress: show a bar; None for only where standard error is a terminal.

    Raises:
        ValueError: for a number out of its range; names it.
    """

    max_epochs: int = 500
    batch_size: int = 512
    learning_rate: float = 3e-3
    weight_decay: float = 0.0
    average: float = 0.0
    clip_norm: float | None = 5.0
    patience: int | None = 20
    min_evaluation_steps: int = 20
    monitor: str = "loss"
    max_skipped: int = 5
    max_rollbacks: int = 3
    compile: bool = False
    matmul: str = "auto"
    checkpoint: str | Path | None = None
    checkpoint_steps: int = 1000
    log_path: str | Path | None = None
    tensorboard: str | Path | None = None
    progress: bool | None = None

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            value = getattr(self, name)
            whole = isinstance(value, Integral) and not isinstance(value, bool)
            fits = whole and int(value) >= least
            if not fits and not (value is None and name in MAY_BE_NONE):
                raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
        for name, (words, holds) in RANGES.items():
            value = getattr(self, name)
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not (number and holds(float(value))) and not (value is None and name in MAY_BE_NONE):
                raise ValueError(f"{name} must be {words}, got {value!r}")
        if self.matmul not in MODES:
            raise ValueError(f"matmul must be one of {MODES}, got {self.matmul!r}")

    def monitored(self, terms: Mapping[str, float]) -> float:
        """The validation term to minimise.

        Raises:
            ValueError: naming those that there are.
        """
        if self.monitor not in list(terms):
            raise ValueError(f"monitor must be one of {', '.join(terms)}, got {self.monitor!r}")
        return terms[self.monitor]

    def trajectory(self) -> dict[str, object]:
        """The settings that a resumed run must share; the others may change."""
        free = ("max_epochs", "patience", "checkpoint", "checkpoint_steps", "log_path")
        free += ("tensorboard", "progress", "compile")
        return {key: value for key, value in asdict(self).items() if key not in free}
