"""The arguments of `anabranch fit`, understood."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anabranch.data.csv_text import CsvFormat
from anabranch.estimators.estimator import Estimator


@dataclass(frozen=True)
class Fit:
    """The arguments of the command, understood.

    Attributes:
        data: files to read as one table.
        output: the model file.
        estimator: the class of what is fitted.
        columns: columns to use; None for all but the labels and the context.
        context: columns that a density is conditional on; None for none.
        label_column: column of known labels.
        id_column: column of names of rows, which is left out; None for none.
        weight_column: column of what each row counts; None for one each.
        classes: labels to keep, with commas between.
        csv: how CSV files are written.
        use_labels: whether labels teach the model.
        auto_levels: whether images of bytes are taken as integers.
        settings: parameters of the estimator.
        checkpoint: file for the state of an unfinished fit; None for none.
        resume: True to go on, False to discard an unfinished fit, None to ask.
        stream: settings of `anabranch.data.ParquetRows` where rows are not held; else None.
        as_json: whether the summary is one line of JSON.
        verbose: True to print all settings, False to print nothing.
    """

    data: Sequence[Path]
    output: Path
    estimator: type[Estimator]
    columns: Sequence[str] | None
    context: Sequence[str] | None
    label_column: str | None
    id_column: str | None
    weight_column: str | None
    classes: str | None
    csv: CsvFormat
    use_labels: bool
    auto_levels: bool
    settings: Mapping[str, Any]
    checkpoint: Path | None
    resume: bool | None
    verbose: bool | None
    stream: Mapping[str, Any] | None = None
    as_json: bool = False

    @property
    def is_mixed(self) -> bool:
        """Whether the table holds columns of several kinds, or gaps."""
        settings = self.settings
        return settings.get("columns") is not None or settings.get("missing") == "marginal"

    def checkpoint_files(self) -> list[Path]:
        """The files that hold the state of an unfinished fit."""
        if self.checkpoint is None:
            return []
        return self.estimator.checkpoint_files(self.checkpoint)
