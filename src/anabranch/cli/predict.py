"""`anabranch predict`: the component of each row."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anabranch.cli import options

if TYPE_CHECKING:
    from anabranch.cli.rows import Part
    from anabranch.estimators.estimator import Estimator


# columns of the file
WRITTEN = ("row", "component", "class", "missing", "tail")


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
    append: options.Append = False,
    on_missing: options.OnMissing = options.Gaps.fail,
    as_json: options.AsJson = False,
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
    are printed. With --outliers, rows that a broad density beside the components claims are odd,
    too.
    """
    import numpy as np

    from anabranch.cli.loading import load_clusters
    from anabranch.cli.paths import check_files
    from anabranch.cli.piped import tell
    from anabranch.cli.results import Beside, Results, complete, marked
    from anabranch.cli.rows import Request, stream

    check_files([model, *data], {"--output": output})
    csv = options.csv_format(header, delimiter, decimal)
    request = Request(data, label_column, classes, csv)
    mixture = load_clusters(model)
    _check_options(mixture, method, facets=facets)
    if outliers is not None:
        _check_outliers(mixture, outliers)
    beside = Beside.of(mixture, request, id_column, append=append, taken=WRITTEN)
    known, found, names, n_rows, n_gaps = [], [], None, 0, 0
    with Results(output, beside) as results:
        for every in stream(mixture, request):
            part, whole = complete(mixture, every, on_missing)
            n_gaps += int((~whole).sum())
            if not len(part.numbers):
                continue
            columns = _answers(mixture, part, method, outliers)
            if probabilities:
                columns |= _probabilities(mixture, part, method)
            if facets:
                columns |= _facets(mixture, part)
            if part.table.labels is not None:
                known.append(part.table.labels.astype(np.int32))
                found.append(columns["component"].astype(np.int32))
                names = part.table.label_names
            if on_missing is options.Gaps.mark:
                columns, part = marked(columns, whole) | {"row": every.numbers}, every
            results.write(part.numbers, columns)
            n_rows += len(part.numbers)
    labels = np.concatenate(known) if known else np.empty(0, np.int32)
    facts: dict[str, object] = {"rows": n_rows}
    facts |= {"rows with gaps": n_gaps} if n_gaps else {}
    agreed = _agreement(labels, found, names)
    tell(facts | agreed[0], output, as_json=as_json, after=agreed[1])


def _answers(
    mixture: Any, part: "Part", method: Method | None, outliers: float | None
) -> dict[str, Any]:
    """The numbers of rows, their components and what goes with these."""
    import numpy as np

    how = {} if method is None else {"method": method.value}
    odd = {} if outliers is None else {"outliers": outliers}
    columns = {"row": part.numbers, "component": mixture.predict(part.X, **how, **odd)}
    if mixture.takes_missing:
        columns["missing"] = mixture.missing_cells(part.X)
    if outliers is not None:
        columns["tail"] = _tail(mixture, part, outliers)
    if mixture.class_names is not None:
        named = np.array([*mixture.class_names, ""], dtype=object)
        columns["class"] = named[columns["component"]]  # of -1 the last
    return columns


def _probabilities(mixture: Any, part: "Part", method: Method | None) -> dict[str, Any]:
    how = {} if method is None else {"method": method.value}
    posterior = mixture.predict_proba(part.X, **how)
    return {f"p{k}": posterior[:, k] for k in range(posterior.shape[1])}


def _check_outliers(model: Any, share: float) -> None:
    from anabranch.cli.loading import called

    if model.score_kind == "none":
        raise ValueError(f"--outliers: {called(model)} has no density to tell odd rows by")
    if not 0 < share < 1:
        raise ValueError(f"--outliers must be a share in (0, 1), got {share:g}")


def _tail(model: Any, part: "Part", share: float) -> Any:
    """The tail probability of each row."""
    import numpy as np

    return model.outlier_scores(part.X, n_samples=max(2000, int(np.ceil(10 / share))))


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


def _agreement(
    labels: Any, found: list[Any], names: list[str] | None
) -> tuple[dict[str, object], str]:
    """How well components agree with labels, where some are known, and the table of both."""
    import numpy as np

    from anabranch.cli.agreement import contingency, scores

    n_known = int((labels >= 0).sum())
    if not n_known:
        return {}, ""
    components = np.concatenate(found)
    facts: dict[str, object] = {"labels": f"{n_known} known", **scores(labels, components)}
    return facts, contingency(labels, components, names)
