"""`anabranch compress`: from data to a file that decodes to the same bytes everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from anabranch.cli import job

CoderFile = Annotated[
    Path,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        show_default=False,
        help="Model file that fit --model coder has written.",
    ),
]


def compress(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            show_default=False,
            help="Images in an NPY, NPZ or IDX file, or a folder of PNG, PGM or PPM pictures; any "
            "other file is taken as bytes.",
        ),
    ],
    model: CoderFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", show_default=False, help="File to write (.anb).")
    ],
    as_bytes: Annotated[
        bool, typer.Option("--bytes", help="Take the bytes of the file, whatever it holds.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify",
            help="Decode each block before it is written: as safe as can be, at half the speed.",
        ),
    ] = True,
) -> None:
    """Compress images without loss.

    The file decodes to the same bytes on every machine, with the same model. It appears when it is
    complete. Images larger than the model's are cut into patches.
    """
    from anabranch.cli.coders import load_coder, progress
    from anabranch.cli.paths import check_files
    from anabranch.cli.text import listing
    from anabranch.coding import compress as write
    from anabranch.coding import open_source

    check_files([data, model], {"--output": output})
    coder = load_coder(model)
    source = open_source(data, as_bytes=as_bytes)
    if source.last_resort and not as_bytes:
        job.note(f"{data} is taken as bytes, of which the model knows nothing")
    with progress(source.count(coder)) as on_items:
        written = write(source, coder, output, verify=verify, on_items=on_items)
    values = {
        "items": str(written.items),
        "bytes": str(written.bytes),
        "bits per pixel": f"{written.bits_per_pixel:.4f}",
        "verified": "yes" if verify else "no",
        "file": str(output),
    }
    typer.echo(listing(values))
