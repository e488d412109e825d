"""`anabranch score`: the log-density of each row."""

import typer

from anabranch.cli import options


def score(
    model: options.Model,
    data: options.Data,
    output: options.TableOutput,
    given: options.Given = None,
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
    from anabranch.cli.given import read_given
    from anabranch.cli.loading import load_density
    from anabranch.cli.paths import check_files
    from anabranch.cli.rows import Request, row_names, stream
    from anabranch.cli.text import listing, say
    from anabranch.data import TableWriter
    from anabranch.metrics import bits_per_dim

    check_files([model, *data, *([given] if given else [])], {"--output": output})
    csv = options.csv_format(header, delimiter, decimal)
    density = load_density(model)
    known = None if given is None else read_given(density, given, csv)
    request = Request(data, label_column, classes, csv, known)
    ids = row_names(density, request, id_column, ("row", "log_prob"))
    total, n_rows = 0.0, 0
    with TableWriter(output) as writer:
        for part in stream(density, request):
            log_prob = density.score_samples(part.X, **part.given)
            row_ids = {name: values[part.numbers] for name, values in ids.items()}
            writer.write(row_ids | {"row": part.numbers, "log_prob": log_prob})
            total += float(log_prob.sum())
            n_rows += len(log_prob)
    mean = total / n_rows
    pairs = {"rows": str(n_rows), "mean": f"{mean:.4f} nats per row"}
    if density.levels is not None:
        pairs["bits"] = f"{bits_per_dim(mean, density.n_features_in_):.4f} per dimension"
    typer.echo(listing(pairs))
    say(f"wrote {output}")
