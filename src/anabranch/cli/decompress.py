"""`anabranch decompress`: from a compressed file to what it was made from."""

from pathlib import Path
from typing import Annotated

import typer

from anabranch.cli.compress import CoderFile


def decompress(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", show_default=False, help="What compress has written."),
    ],
    model: CoderFile,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            show_default=False,
            help="File to write, or a new folder for pictures; IDX with .gz at its end is gzipped.",
        ),
    ],
) -> None:
    """Write what a file was compressed from, bit for bit.

    The output appears when all of it is decoded and its checksums hold.
    """
    from anabranch.cli.coders import load_coder, progress
    from anabranch.cli.paths import check_files
    from anabranch.coding import Container
    from anabranch.coding import decompress as write

    files = {"--output": output}
    check_files([file, model], {} if output.is_dir() else files)
    coder = load_coder(model)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    with file.open("rb") as opened:
        container = Container(opened, str(file))
        with progress(container.header.items) as on_items:
            write(container, coder, output, on_items=on_items)
    typer.echo(f"{container.header.items} items in {output}")
