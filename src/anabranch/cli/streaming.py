"""`anabranch fit --stream`: rows of files that are not held."""

from anabranch.cli.request import Fit
from anabranch.data.parquet_rows import ParquetRows
from anabranch.estimators.estimator import Estimator
from anabranch.estimators.summary import fit_lines


def streamed_rows(request: Fit) -> ParquetRows:
    """The rows of the files and folders of a request.

    Raises:
        ValueError: for an estimator or an option that needs the rows in memory.
    """
    if not request.estimator.takes_streams:
        raise ValueError(
            f"--stream fits a mixture or a density; a {request.estimator.__name__} needs its rows "
            "in memory"
        )
    held = {"--classes": request.classes, "--kind and --missing": request.is_mixed or None}
    if wrong := [name for name, value in held.items() if value is not None]:
        raise ValueError(f"{wrong[0]} needs the rows in memory: leave --stream out")
    taught = request.use_labels and request.estimator.takes_labels
    rows = ParquetRows(
        request.data,
        request.columns,
        label=request.label_column if taught else None,
        weight=request.weight_column,
        context=request.context,
        **(request.stream or {}),
    )
    if request.columns is None:
        left = (request.id_column, request.label_column)
        rows.columns = [name for name in rows.columns if name not in left]
    return rows


def streamed_summary(
    request: Fit, estimator: Estimator, rows: ParquetRows, seconds: float
) -> dict[str, str]:
    """Names and values to print, in their order."""
    shown = ", ".join(rows.columns[:8]) + (", ..." if len(rows.columns) > 8 else "")
    pairs = {"rows": f"{len(rows)}, not held", "columns": f"{len(rows.columns)}: {shown}"}
    pairs |= fit_lines(estimator.facts() | {"seconds": seconds})
    return {**pairs, "model": str(request.output)}
