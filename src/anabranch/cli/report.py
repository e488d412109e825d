"""`anabranch report`: one HTML page about a model and its data."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from anabranch.cli import options


class Projection(StrEnum):
    """How more than two columns are shown in two dimensions."""

    pca = "pca"
    tsne = "tsne"


def report(
    model: options.Model,
    data: options.Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The page; it opens without a network.")
    ] = Path("report.html"),
    label_column: options.LabelColumn = None,
    id_column: options.IdColumn = None,
    classes: options.Classes = None,
    title: Annotated[
        str | None, typer.Option(show_default=False, help="Heading of the page.")
    ] = None,
    projection: Annotated[
        Projection, typer.Option(help="Of more than two columns to two dimensions.")
    ] = Projection.pca,
    animation: Annotated[
        Path | None,
        typer.Option(
            show_default=False,
            help="Animated GIF of the training to write, and to show on the page; the model must "
            "have been fitted with --snapshots.",
        ),
    ] = None,
    restarts: Annotated[
        int,
        typer.Option(
            min=0,
            help="Whole fits from other starts to compare the clusters with; 0 for starts alone.",
        ),
    ] = 0,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of the rows shown and the samples.")
    ] = 0,
    header: options.Header = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = ".",
) -> None:
    """Make an HTML page about a model and its data.

    It says what was found and whether to believe it: what sets clusters apart, whether they stand
    apart, k-means and Gaussians beside them, unusual rows, densities, samples and training curves.
    """
    from anabranch.cli.loading import load_density
    from anabranch.cli.paths import check_files
    from anabranch.cli.rows import Request, read, row_names
    from anabranch.cli.text import say
    from anabranch.data import atomic_write
    from anabranch.reports import build_report
    from anabranch.reports.animation import check_animation_path

    check_files([model, *data], {"--output": output, "--animation": animation})
    _check_page(output)
    csv = options.csv_format(header, delimiter, decimal)
    request = Request(data, label_column, classes, csv)
    density = load_density(model)
    if animation is not None:
        if density.is_table:
            raise ValueError("--animation is of numbers, and not of a table of mixed columns")
        if not density.has_clusters:
            raise ValueError("--animation shows how a mixture trains; this model is one density")
        check_animation_path(animation)
    part = read(density, request)
    told = row_names(density, request, id_column, ()).values()
    names = [[f"{id_column} {name}" for name in column[part.numbers]] for column in told]
    image_shape = _picture(part.table.image_shape)
    gif = None if animation is None else _animation(density, part.X, animation, image_shape, seed)
    page = build_report(
        cast("Any", density),
        part.X,
        part.table.labels,
        **part.given,
        title=title or f"{'Mixture' if density.has_clusters else 'Density'}: {model.name}",
        image_shape=image_shape,
        label_names=part.table.label_names,
        row_names=next(iter(names), None),
        projection=projection.value,
        random_state=seed,
        animation=gif,
        restarts=restarts,
    )
    with atomic_write(output) as file:
        file.write(page.encode())
    say(f"wrote {output}")


def _animation(
    mixture: Any, X: Any, path: Path, image_shape: tuple[int, ...] | None, seed: int
) -> bytes:
    """Write the animation, and give it."""
    from anabranch.cli.text import say
    from anabranch.data import atomic_write
    from anabranch.reports import render_animation

    gif = render_animation(mixture, X, random_state=seed, scale=image_shape is None)
    with atomic_write(path) as file:
        file.write(gif)
    say(f"wrote {path}")
    return gif


def _check_page(output: Path) -> None:
    """Refuse a name that says that it is something else, such as .pdf."""
    ending = output.suffix.lower()
    if ending not in ("", ".html", ".htm"):
        raise ValueError(f"--output {output}: a report is a page of HTML, so end in .html")


def _picture(shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """The shape of rows that can be shown as images."""
    if shape is None or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))):
        return None
    return shape
