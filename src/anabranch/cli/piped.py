"""Standard input as a file, and summaries that keep out of the way of data."""

import atexit
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import typer

from anabranch.cli.text import listing, say

# first bytes, and what a file that begins with them is
STARTS = {
    b"PAR1": ".parquet",
    b"ARROW1": ".arrow",
    b"\x93NUMPY": ".npy",
    b"PK\x03\x04": ".xlsx",
    b"\x1f\x8b": ".csv.gz",
    b"BZh": ".csv.bz2",
    b"\x28\xb5\x2f\xfd": ".csv.zst",
    b"{": ".jsonl",
}


def spooled() -> Path:
    """A file of all that standard input holds, for files are read more than once.

    Its first bytes tell the format, text is CSV. It is removed when the process ends.
    """
    folder = Path(tempfile.mkdtemp(prefix="anabranch-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    start = sys.stdin.buffer.read(8)
    ending = next((end for known, end in STARTS.items() if start.startswith(known)), ".csv")
    path = folder / f"standard-input{ending}"
    with path.open("wb") as file:
        file.write(start)
        shutil.copyfileobj(sys.stdin.buffer, file)
    return path


def is_standard_output(path: Path) -> bool:
    """Whether what is written goes where a summary would go, too."""
    return str(path) == "/dev/stdout"


def tell(facts: Mapping[str, object], output: Path, *, as_json: bool, after: str = "") -> None:
    """Print the summary of a command: on standard error where its output takes standard output.

    Args:
        facts: what to tell; texts in a listing, values in JSON.
        output: what was written.
        as_json: whether it is one line of JSON.
        after: what follows a listing.
    """
    err = is_standard_output(output)
    if as_json:
        typer.echo(json.dumps({**facts, "output": str(output)}), err=err)
        return
    typer.echo(listing({name: _shown(value) for name, value in facts.items()}), err=err)
    if after:
        typer.echo(after, err=err)
    if not err:
        say(f"wrote {output}")


def _shown(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
