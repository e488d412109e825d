"""A model over a folder of files: one part for each, with a manifest that says what is done."""

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anabranch.batch.scorer import Scorer, plain_column
from anabranch.data import TableWriter, atomic_write, read_mixed, stream_table
from anabranch.data.formats import ENDINGS
from anabranch.data.locks import locked
from anabranch.data.matching import matching_paths
from anabranch.data.reading import open_source

StrPath = str | PathLike[str]
MANIFEST = "_manifest.json"
VERSION = 1
# Values read at once.
BATCH_VALUES = 1 << 21


@dataclass(frozen=True)
class Part:
    """One file and what comes of it.

    Attributes:
        input: the file.
        output: the name of the part within the folder of the job.
    """

    input: Path
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
    found: dict[str, Path] = {}
    for path in (path for given in inputs for path in matching_paths(given)):
        files = sorted(_tables(path)) if path.is_dir() else [path]
        for file in files:
            name = str(file.relative_to(path)) if path.is_dir() else file.name
            output = f"{name.replace('/', '__')}.parquet"
            if output in found:
                raise ValueError(f"{found[output]} and {file} would both become {output}")
            found[output] = file
    if not found:
        raise FileNotFoundError("there are no tables in " + ", ".join(map(str, inputs)))
    return [Part(path, output) for output, path in found.items()]


def _tables(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and path.name.lower().endswith(tuple(ENDINGS)):
            yield path


def run_job(
    scorer: Scorer,
    inputs: Sequence[StrPath],
    folder: Path,
    *,
    workers: int = 1,
    resume: bool = False,
) -> Done:
    """Score files to parts, each written whole or not at all, and keep account of them.

    A job that was killed goes on with ``resume=True``, and makes only what is missing: parts whose
    file has changed since, too.

    Args:
        scorer: what is told of each row.
        inputs: files, folders, and patterns of them, see `anabranch.data.matching`.
        folder: of the parts, made where it is missing.
        workers: processes.
        resume: go on with a job that is there.

    Returns:
        How many rows and parts there are.

    Raises:
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
    parts = find_parts(inputs)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / MANIFEST):
        manifest = _begin(scorer, folder, resume=resume)
        done: dict[str, Any] = manifest["done"]
        scorer.estimator  # noqa: B018 - a model that cannot be used is refused before any work
        left = [part for part in parts if not _is_done(part, done, folder)]
        for output, fact in _run(scorer, left, folder, workers):
            done[output] = fact
            _write(folder, manifest)
    rows = sum(done[part.output]["rows"] for part in parts)
    return Done(rows, len(parts), len(left))


def _begin(scorer: Scorer, folder: Path, *, resume: bool) -> dict[str, Any]:
    """The manifest of a job that begins, or goes on."""
    settings = {name: value for name, value in asdict(scorer).items() if name != "model"}
    settings["outputs"] = list(scorer.outputs)
    model = sha256(Path(scorer.model).read_bytes()).hexdigest()
    fresh = {"version": VERSION, "model": model, "settings": settings, "done": {}}
    path = folder / MANIFEST
    if not path.exists():
        _write(folder, fresh)
        return fresh
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
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


def _is_done(part: Part, done: dict[str, Any], folder: Path) -> bool:
    fact = done.get(part.output)
    return (
        fact is not None
        and fact["input"] == _identity(part.input)
        and (folder / part.output).is_file()
    )


def _identity(path: Path) -> list[Any]:
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]


def _run(
    scorer: Scorer, parts: Sequence[Part], folder: Path, workers: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Make parts, here or in other processes, and tell of each when it is there."""
    if workers == 1 or len(parts) < 2:
        for part in parts:
            yield part.output, make_part(scorer, part, folder)
        return
    context = multiprocessing.get_context("spawn")  # torch's threads do not live through a fork
    with ProcessPoolExecutor(min(workers, len(parts)), mp_context=context) as pool:
        waiting = {pool.submit(make_part, scorer, part, folder): part for part in parts}
        try:
            for future in as_completed(waiting):
                yield waiting[future].output, future.result()
        except BrokenProcessPool as error:
            raise OSError("a worker was killed; --resume makes the parts that are left") from error
        finally:
            pool.shutdown(cancel_futures=True)


def make_part(scorer: Scorer, part: Part, folder: Path) -> dict[str, Any]:
    """Score one file, and say how many rows it has and which file it was."""
    identity, n_rows = _identity(part.input), 0
    try:
        with TableWriter(folder / part.output) as writer:
            for frame in _batches(scorer, part.input):
                found = scorer(frame)
                row = {} if scorer.key else {"row": np.arange(n_rows, n_rows + len(frame))}
                writer.write(row | {name: plain_column(found[name]) for name in found})
                n_rows += len(frame)
    except ValueError as error:
        raise ValueError(f"{part.input}: {error}") from error
    return {"rows": n_rows, "input": identity}


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


def _write(folder: Path, manifest: dict[str, Any]) -> None:
    with atomic_write(folder / MANIFEST) as file:
        file.write(json.dumps(manifest, indent=1).encode())
