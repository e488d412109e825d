"""The columns of files that hold the columns of a model."""

from collections.abc import Sequence
from pathlib import Path

from anabranch.cli.job import note
from anabranch.data.csv_files import CsvSource
from anabranch.data.formats import detect_format
from anabranch.data.idx_files import IdxSource
from anabranch.data.numpy_files import open_npy, open_npz
from anabranch.data.parquet_files import ParquetSource
from anabranch.estimators.estimator import Estimator


def context_names(model: Estimator) -> list[str] | None:
    """Names of the columns that a density is conditional on, None where it is not.

    Raises:
        ValueError: where they have no names, by which files could be asked for them.
    """
    if model.context_size and model.context_names is None:
        raise ValueError(
            "the model was fitted given a context whose columns have no names, so that none can be "
            "found in files; fit it to frames, or by anabranch fit --context"
        )
    return model.context_names


def columns_of(
    model: Estimator, paths: Sequence[Path], label_column: str | None, *, header: bool | None
) -> list[str] | None:
    """The columns of the files that hold the columns of the model, in the model's order.

    Columns are told by name, and by place only where the model or the file has no names.

    Raises:
        ValueError: where the files lack columns, or have too few or too many without names.
    """
    found = first_columns(paths, header)
    if found is None:
        return None
    path, have, named = found
    have = [name for name in have if name != label_column]
    names = model.column_names
    wanted = names or [f"x{j}" for j in range(model.n_features_in_)]
    wanted = [*wanted, *(context_names(model) or ())]
    missing = [name for name in wanted if name not in have]
    if not missing and (names or len(have) == len(wanted)):
        _note_ignored([name for name in have if name not in wanted])
        return wanted
    if (named and names) or len(have) != len(wanted):
        raise _misfit(path, have, wanted, missing if named and names else None)
    return have


def first_columns(
    paths: Sequence[Path], header: bool | None
) -> tuple[Path, list[str], bool] | None:
    """The first file that holds rows, its columns, and whether their names are its own."""
    for path in paths:
        match detect_format(path):
            case "csv":
                return path, CsvSource(path, header).columns, header is not False
            case "parquet":
                return path, ParquetSource(path).columns, True
            case "npy":
                return path, open_npy(path).columns, False
            case "npz":
                return path, open_npz(path).columns, False
            case "idx":
                source = IdxSource(path)
                if not source.holds_labels:
                    return path, source.columns, False
    return None


def _note_ignored(names: list[str]) -> None:
    if names:
        shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
        note(f"columns that the model does not use are ignored: {shown}")


def _misfit(
    path: Path, have: list[str], wanted: list[str], missing: list[str] | None
) -> ValueError:
    if missing is None:
        return ValueError(
            f"{path} has {len(have)} columns; the model was fitted to {len(wanted)}"
            + (" (is one of them the labels? name it by --label-column)" if len(have) > 1 else "")
        )
    shown = ", ".join(map(repr, missing[:5])) + (", ..." if len(missing) > 5 else "")
    return ValueError(
        f"{path} lacks {len(missing)} of the {len(wanted)} columns that the model was fitted to: "
        f"{shown}"
    )
