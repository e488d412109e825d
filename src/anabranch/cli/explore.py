"""`anabranch explore`: a table, its clusters and its labels in a browser."""

from pathlib import Path
from typing import Annotated

import typer

from anabranch.cli import options


def explore(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", show_default=False, help="Table to explore.")
    ],
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", show_default=False, help="Model file to begin with."),
    ] = None,
    label_column: options.LabelColumn = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            show_default=False, help="Where models and labels go.  [default: that of the table]"
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8050,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")
    ] = True,
) -> None:
    """Explore a table in a browser: fit, select rows on a map, label them, refit.

    The page is served to one browser of this machine, at the address that is printed. Models and
    labels are written beside the table. Ctrl-C ends it.
    """
    from anabranch.cli.text import say

    try:
        import dash as _  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError('the explorer needs dash: pip install "anabranch[ui]"') from error
    from anabranch.explorer.desk import Desk
    from anabranch.explorer.project import Project
    from anabranch.explorer.server import serve

    if folder is not None and not folder.is_dir():
        raise ValueError(f"--folder {folder} is no folder")
    desk = Desk(Project(data, label_column, folder), model)
    address, server = serve(desk, port)
    say(f"explore {data} at {address}")
    if browser:
        import webbrowser

        webbrowser.open(address)
    try:
        server.serve_forever()  # pyright: ignore[reportAttributeAccessIssue]
    finally:
        desk.cancel()
