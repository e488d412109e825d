"""The columns of files that hold the columns of a model."""

from collections.abc import Sequence
from pathlib import Path

from anabranch.cli.job import note
from anabranch.data.csv_text import CsvFormat
from anabranch.data.idx_files import IdxSource
from anabranch.data.reading import open_source
from anabranch.data.source import Source
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
    model: Estimator,
    paths: Sequence[Path],
    label_column: str | None,
    csv: CsvFormat,
    context: Sequence[str] | None,
) -> list[str] | None:
    """The columns of the files that hold the columns of the model, in the model's order.

    Behind them come those of the context that are to be found there.

    Columns are told by name, and by place only where the model or the file has no names.

    Raises:
        ValueError: where the files lack columns, or have too few or too many without names.
    """
    source = first_source(paths, csv)
    if source is None:
        return None
    have = [name for name in source.columns if name != label_column]
    known = set(have)
    names = model.column_names
    wanted = names or [f"x{j}" for j in range(model.n_features_in_)]
    wanted = [*wanted, *(context or ())]
    missing = [name for name in wanted if name not in known]
    if not missing and (names or len(have) == len(wanted)):
        used = set(wanted)
        _note_ignored([name for name in have if name not in used])
        return wanted
    named = source.has_own_names and names
    if named or len(have) != len(wanted):
        raise _misfit(source.path, have, wanted, missing if named else None)
    return have


def first_source(paths: Sequence[Path], csv: CsvFormat) -> Source | None:
    """The first file that holds rows."""
    sources = (open_source(path, **csv) for path in paths)
    return next((s for s in sources if not (isinstance(s, IdxSource) and s.holds_labels)), None)


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
