"""`anabranch score`: the log-density of each row."""

from typing import Annotated, Any

import typer

from anabranch.cli import options


def score(
    model: options.Model,
    data: options.Data,
    output: options.TableOutput,
    given: options.Given = None,
    append: options.Append = False,
    on_missing: options.OnMissing = options.Gaps.fail,
    as_json: options.AsJson = False,
    weight_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", show_default=False, help="Column of what each row counts in the mean."
        ),
    ] = None,
    id_column: options.IdColumn = None,
    label_column: options.LabelColumn = None,
    classes: options.Classes = None,
    header: options.Header = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = ".",
) -> None:
    """Write the log-density of each row.

    The file has the columns row (from 0) and log_prob, in nats; their mean is printed. A table may
    be larger than memory. The label column is no column of the data.
    """
    import numpy as np

    from anabranch.cli.given import read_given
    from anabranch.cli.loading import load_density
    from anabranch.cli.paths import check_files
    from anabranch.cli.piped import tell
    from anabranch.cli.results import Beside, Results, complete, marked
    from anabranch.cli.rows import Request, stream
    from anabranch.metrics import bits_per_dim

    check_files([model, *data, *([given] if given else [])], {"--output": output})
    csv = options.csv_format(header, delimiter, decimal)
    density = load_density(model)
    known = None if given is None else read_given(density, given, csv)
    request = Request(data, label_column, classes, csv, known)
    beside = Beside.of(density, request, id_column, append=append, taken=("row", "log_prob"))
    weights = None if weight_column is None else _weights(request, weight_column)
    total, counted, n_rows, n_gaps = 0.0, 0.0, 0, 0
    with Results(output, beside) as results:
        for every in stream(density, request):
            part, whole = complete(density, every, on_missing)
            n_gaps += int((~whole).sum())
            if not len(part.numbers):
                continue
            log_prob = density.score_samples(part.X, **part.given)
            counts = np.ones(len(log_prob)) if weights is None else weights[part.numbers]
            total += float((counts * log_prob).sum())
            counted += float(counts.sum())
            columns: dict[str, Any] = {"row": part.numbers, "log_prob": log_prob}
            if on_missing is options.Gaps.mark:
                columns, part = marked(columns, whole) | {"row": every.numbers}, every
            results.write(part.numbers, columns)
            n_rows += len(part.numbers)
    if not counted:
        raise ValueError(f"--weight-column {weight_column!r} is zero for all rows")
    mean = total / counted
    facts: dict[str, object] = {"rows": n_rows}
    facts |= {"rows with gaps": n_gaps} if n_gaps else {}
    facts["mean"] = mean if as_json else f"{mean:.4f} nats per row"
    if density.levels is not None:
        bits = bits_per_dim(mean, density.n_features_in_)
        facts["bits"] = bits if as_json else f"{bits:.4f} per dimension"
    tell(facts, output, as_json=as_json)


def _weights(request: Any, column: str) -> Any:
    """What each row of the files counts."""
    from anabranch.data import read_tables
    from anabranch.estimators.rows import check_weights

    table = read_tables(request.paths, [column], None, **request.csv)
    return check_weights(table.X[:, 0], len(table))
