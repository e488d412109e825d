"""`anabranch predict`: the component of each row."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anabranch.cli import options

if TYPE_CHECKING:
    from anabranch.cli.rows import Part
    from anabranch.estimators.estimator import Estimator


class Method(StrEnum):
    """Which posterior tells the component."""

    exact = "exact"
    network = "network"


def predict(
    model: options.Model,
    data: options.Data,
    output: options.TableOutput,
    method: Annotated[
        Method | None,
        typer.Option(
            show_default=False,
            help="Bayes' p(c|x), or the posterior network q(c|x).  [default: the one that was "
            "trained]",
        ),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write p0, p1, ... too.")
    ] = False,
    facets: Annotated[
        bool,
        typer.Option(
            "--facets", help="Write facet0, facet1, ... too: the clusterings that ltvae has found."
        ),
    ] = False,
    outliers: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            show_default=False,
            help="Give -1 to rows that are odder than this share of the model's own rows, and "
            "write how odd each is.",
        ),
    ] = None,
    id_column: options.IdColumn = None,
    label_column: options.LabelColumn = None,
    classes: options.Classes = None,
    header: options.Header = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = ".",
) -> None:
    """Write the component of each row.

    The file has the columns row (from 0) and component, the class of that where labels taught the
    model, and, of a model that sums missing cells out, how many of a row's were missing. With known
    labels, accuracy under the best matching (ACC), NMI, ARI and the table of classes by components
    are printed.
    """
    import numpy as np

    from anabranch.cli.loading import load_clusters
    from anabranch.cli.paths import check_files
    from anabranch.cli.rows import Request, row_names, stream
    from anabranch.cli.text import say
    from anabranch.data import TableWriter

    check_files([model, *data], {"--output": output})
    csv = options.csv_format(header, delimiter, decimal)
    request = Request(data, label_column, classes, csv)
    mixture = load_clusters(model)
    _check_options(mixture, method, facets=facets)
    if outliers is not None:
        _check_outliers(mixture, outliers)
    ids = row_names(mixture, request, id_column, ("row", "component", "class", "missing", "tail"))
    known, found, names, n_rows = [], [], None, 0
    with TableWriter(output) as writer:
        for part in stream(mixture, request):
            columns = _columns(mixture, part, method, probabilities)
            if outliers is not None:
                columns |= _odd(mixture, part, columns["component"], outliers)
            if mixture.class_names is not None:
                named = np.array([*mixture.class_names, ""], dtype=object)
                columns["class"] = named[columns["component"]]  # of -1 the last
            if facets:
                columns |= _facets(mixture, part)
            row_ids = {name: values[part.numbers] for name, values in ids.items()}
            writer.write(row_ids | columns)
            n_rows += len(part.numbers)
            if part.table.labels is not None:
                known.append(part.table.labels.astype(np.int32))
                found.append(columns["component"].astype(np.int32))
                names = part.table.label_names
    labels = np.concatenate(known) if known else np.empty(0, np.int32)
    _print_summary(n_rows, labels, found, names)
    say(f"wrote {output}")


def _columns(
    mixture: Any,
    part: "Part",
    method: Method | None,
    probabilities: bool,
) -> dict[str, Any]:
    how = {} if method is None else {"method": method.value}
    posterior = mixture.predict_proba(part.X, **how)
    columns = {"row": part.numbers, "component": posterior.argmax(1)}
    if mixture.takes_missing:
        columns["missing"] = mixture.missing_cells(part.X)
    if probabilities:
        columns |= {f"p{k}": posterior[:, k] for k in range(posterior.shape[1])}
    return columns


def _check_outliers(model: Any, share: float) -> None:
    from anabranch.cli.loading import called

    if model.score_kind == "none":
        raise ValueError(f"--outliers: {called(model)} has no density to tell odd rows by")
    if not 0 < share < 1:
        raise ValueError(f"--outliers must be a share in (0, 1), got {share:g}")


def _odd(model: Any, part: "Part", components: Any, share: float) -> dict[str, Any]:
    """Components with -1 for odd rows, and the tail probability of each row."""
    import numpy as np

    tail = model.outlier_scores(part.X, n_samples=max(2000, int(np.ceil(10 / share))))
    return {"component": np.where(tail <= share, -1, components), "tail": tail}


def _facets(model: Any, part: "Part") -> dict[str, Any]:
    return {f"facet{j}": labels for j, labels in enumerate(model.predict_facets(part.X).T)}


def _check_options(model: "Estimator", method: Method | None, *, facets: bool) -> None:
    """Refuse what a model without densities, or with one clustering, cannot do."""
    from anabranch.cli.loading import called

    if method is not None and not model.posteriors:
        raise ValueError(
            f"--method {method.value}: {called(model)} has one way to tell the cluster of a row"
        )
    if facets and not model.has_facets:
        raise ValueError(f"--facets: {called(model)} finds one clustering only")


def _print_summary(n_rows: int, labels: Any, found: list[Any], names: list[str] | None) -> None:
    import numpy as np

    from anabranch.cli.agreement import contingency, scores
    from anabranch.cli.text import listing

    n_known = int((labels >= 0).sum())
    if not n_known:
        typer.echo(listing({"rows": str(n_rows)}))
        return
    components = np.concatenate(found)
    pairs = {"rows": str(n_rows), "labels": f"{n_known} known"}
    typer.echo(listing(pairs | scores(labels, components)))
    typer.echo(contingency(labels, components, names))
