"""A model over a folder of files: one part for each, with a manifest that says what is done."""

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anabranch.batch.engines import engine_of
from anabranch.batch.places import Folder, StrPath, identity, local_copy, tables_of
from anabranch.batch.scorer import Scorer, plain_column
from anabranch.data import TableWriter, read_mixed, stream_table
from anabranch.data.locks import locked
from anabranch.data.reading import open_source

MANIFEST = "_manifest.json"
VERSION = 1
# Values read at once.
BATCH_VALUES = 1 << 21


@dataclass(frozen=True)
class Part:
    """One file and what comes of it.

    Attributes:
        input: the file, a path or an address.
        output: the name of the part within the folder of the job.
    """

    input: str
    output: str


@dataclass(frozen=True)
class Done:
    """What a job has come to.

    Attributes:
        rows: in all parts.
        parts: that there are.
        made: that this run has made, where others were there.
    """

    rows: int
    parts: int
    made: int


def find_parts(inputs: Sequence[StrPath]) -> list[Part]:
    """The files behind names and patterns of files and folders, each with the name of its part.

    Folders are searched to the bottom for the endings of tables; hidden names and those that begin
    with "_" are left out, as engines that write folders of parts mean it.

    Raises:
        FileNotFoundError: where there is nothing.
        ValueError: where two parts would have the same name.
    """
    found: dict[str, str] = {}
    for address, name in (table for given in inputs for table in tables_of(given)):
        output = f"{name.replace('/', '__')}.parquet"
        if output in found:
            raise ValueError(f"{found[output]} and {address} would both become {output}")
        found[output] = address
    if not found:
        raise FileNotFoundError("there are no tables in " + ", ".join(map(str, inputs)))
    return [Part(address, output) for output, address in found.items()]


def run_job(
    scorer: Scorer,
    inputs: Sequence[StrPath],
    folder: StrPath,
    *,
    workers: int = 1,
    resume: bool = False,
    engine: str = "local",
) -> Done:
    """Score files to parts, each written whole or not at all, and keep account of them.

    A job that was killed goes on with ``resume=True``, and makes only what is missing: parts whose
    file has changed since, too.

    Args:
        scorer: what is told of each row.
        inputs: files, folders, and patterns of them, also in object stores ("s3://bucket/days",
            "gs://...", whatever fsspec or pyarrow knows): each is fetched by the process that
            scores it.
        folder: of the parts, made where it is missing; in an object store each part is one PUT.
        workers: processes, or tasks of Ray at a time.
        resume: go on with a job that is there.
        engine: "local" for processes of this machine, "ray" for tasks of a cluster whose nodes
            all see the files.

    Returns:
        How many rows and parts there are.

    Raises:
        ImportError: for the engine "ray" where Ray is not installed.
        OSError: where something cannot be read or written.
        ValueError: where a job is there already, or is one of another model or other outputs; or
            for rows that cannot be scored, naming the file.

    Example:
        >>> import tempfile
        >>> from anabranch import GaussianMixture, save
        >>> from anabranch.data import write_table
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in "ab":
        ...     write_table(folder / f"{name}.csv", {"x": np.arange(3.0)})
        >>> save(GaussianMixture(1).fit({"x": np.arange(3.0)}), folder / "m")
        >>> scorer = Scorer(folder / "m", ("log_prob",))
        >>> run_job(scorer, [folder / "a.csv", folder / "b.csv"], folder / "out")
        Done(rows=6, parts=2, made=2)
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    run, parts, place = engine_of(engine), find_parts(inputs), Folder(folder)
    place.make()
    # nothing keeps two drivers from one folder of an object store: their parts are the same
    with nullcontext() if place.local is None else locked(place.local / MANIFEST):
        manifest = _begin(scorer, place, resume=resume)
        done: dict[str, Any] = manifest["done"]
        scorer.estimator  # noqa: B018 - a model that cannot be used is refused before any work
        left = [part for part in parts if not _is_done(part, done, place)]
        make = partial(make_part, scorer=scorer, folder=place)
        for part, fact in run(make, left, workers):
            done[part.output] = fact
            _write(place, manifest)
    rows = sum(done[part.output]["rows"] for part in parts)
    return Done(rows, len(parts), len(left))


def _begin(scorer: Scorer, folder: Folder, *, resume: bool) -> dict[str, Any]:
    """The manifest of a job that begins, or goes on."""
    settings = {name: value for name, value in asdict(scorer).items() if name != "model"}
    settings["outputs"] = list(scorer.outputs)
    model = sha256(Path(scorer.model).read_bytes()).hexdigest()
    fresh = {"version": VERSION, "model": model, "settings": settings, "done": {}}
    written, path = folder.read(MANIFEST), f"{folder}/{MANIFEST}"
    if written is None:
        _write(folder, fresh)
        return fresh
    try:
        found = json.loads(written)
        version, known = found["version"], (found["model"], found["settings"], dict(found["done"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no manifest of a job") from error
    if version != VERSION:
        raise ValueError(f"{path} is of version {version}, this is {VERSION}")
    if not resume:
        raise ValueError(f"{folder} holds a job already: go on with it by resume, or take another")
    if known[0] != model:
        raise ValueError(f"{folder} holds a job of another model than {scorer.model}")
    if known[1] != settings:
        raise ValueError(f"{folder} holds a job with other settings: {known[1]}, now {settings}")
    return found


def _is_done(part: Part, done: dict[str, Any], folder: Folder) -> bool:
    fact = done.get(part.output)
    return fact is not None and fact["input"] == identity(part.input) and folder.holds(part.output)


def make_part(part: Part, scorer: Scorer, folder: Folder) -> dict[str, Any]:
    """Score one file, and say how many rows it has and which file it was."""
    known, n_rows = identity(part.input), 0
    try:
        with (
            local_copy(part.input) as path,
            folder.part(part.output) as written,
            TableWriter(written) as writer,
        ):
            for frame in _batches(scorer, path):
                found = scorer(frame)
                row = {} if scorer.key else {"row": np.arange(n_rows, n_rows + len(frame))}
                writer.write(row | {name: plain_column(found[name]) for name in found})
                n_rows += len(frame)
    except ValueError as error:
        raise ValueError(f"{part.input}: {error}") from error
    return {"rows": n_rows, "input": known}


def _batches(scorer: Scorer, path: Path) -> Iterator[Any]:
    """Frames of a file, of many rows each; read in parts where only numbers are asked for."""
    model = scorer.estimator
    names = model.column_names
    if names is None:
        wanted = None
    else:
        wanted = [*names, *([scorer.key] if scorer.key else [])]
        have = open_source(path).columns
        if missing := [name for name in wanted if name not in have]:
            raise ValueError(f"it lacks columns: {', '.join(missing[:10])}")
    if model.is_table or scorer.key:
        yield read_mixed([path], wanted).X
        return
    step = max(1, BATCH_VALUES // model.n_features_in_)
    for table in stream_table(path, wanted, batch_rows=step):
        yield pd.DataFrame(table.X, columns=table.columns, copy=False)


def _write(folder: Folder, manifest: dict[str, Any]) -> None:
    folder.write(MANIFEST, json.dumps(manifest, indent=1).encode())
