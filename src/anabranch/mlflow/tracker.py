"""The metrics of fits in the run of MLflow that is active."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from anabranch.mlflow.modules import mlflow_module
from anabranch.training import Callback, FitOptions, FitResult

# Settings of the loop that say where, not what.
_ELSEWHERE = ("checkpoint", "checkpoint_steps", "log_path", "tensorboard", "progress")


class MLflowTracker(Callback):
    """Logs the settings and the metrics of every stage, as "train/validation_nll" and so on.

    Args:
        run_id: of the run; None for the one that is active when a stage begins, or a new one.

    Raises:
        ImportError: where MLflow is not installed.

    Example:
        >>> from anabranch.training import callbacks
        >>> with callbacks(MLflowTracker()):
        ...     pass  # the fits of this block are tracked
    """

    def __init__(self, run_id: str | None = None) -> None:
        self.run_id = run_id
        self.client: Any = None

    def on_start(self, stage: str | None, options: FitOptions) -> None:
        """Log the settings."""
        mlflow = mlflow_module()
        self.client = mlflow.MlflowClient()
        if self.run_id is None:
            active = mlflow.active_run() or mlflow.start_run()
            self.run_id = active.info.run_id
        known = self.client.get_run(self.run_id).data.params
        for name, value in asdict(options).items():
            if name not in _ELSEWHERE and (key := _key(stage, name)) not in known:
                self.client.log_param(self.run_id, key, value)

    def on_evaluation(self, stage: str | None, entry: Mapping[str, float]) -> None:
        """Log the terms at their step; those that are not numbers yet are left out."""
        for name, value in entry.items():
            if name != "step" and value == value:
                key = _key(stage, name)
                self.client.log_metric(self.run_id, key, float(value), step=int(entry["step"]))

    def on_end(self, stage: str | None, result: FitResult | None) -> None:
        """Log what the run came to."""
        if result is None:
            return
        told = {"best_score": result.best_score, "seconds": result.seconds, "steps": result.steps}
        for name, value in told.items():
            self.client.log_metric(self.run_id, _key(stage, name), float(value), step=result.steps)
        self.client.set_tag(self.run_id, _key(stage, "stopped"), result.stopped)


def _key(stage: str | None, name: str) -> str:
    return f"{(stage or 'fit').replace(' ', '_')}/{name}"
