"""What happens to fits that are killed, files that are damaged or forged, and data that are bad."""

import multiprocessing
import os
import random
import resource
import signal
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.archive import ModelFileError, fingerprint, read_archive, write_archive
from anabranch.estimators import (
    RAD,
    DeepClustering,
    DeepMixture,
    FlowDensity,
    FlowGMM,
    FlowMixture,
    GaussianMixture,
    load,
    save,
)
from anabranch.estimators.estimator import Estimator
from anabranch.experiments.damage import damaged, forged
from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.registry import experiment
from anabranch.experiments.tables import text_table
from anabranch.models import realnvp
from anabranch.objectives import Likelihood
from anabranch.training import FitOptions, fit

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
# How many of each kind there are, and seconds after which one counts as hung.
KILLS, RAW, FORGED, CHECKPOINTS, INPUTS, PATIENCE = 300, 5000, 5000, 2000, 600, 60
FLOW = {"name": "realnvp", "n_layers": 2, "hidden": [8]}
DEEP = {"latent": 2, "hidden": (8,), "max_epochs": 4, "random_state": 0}
MAKERS: dict[str, Callable[..., Estimator]] = {
    "FlowMixture": partial(FlowMixture, 2, flow=FLOW, max_epochs=12, random_state=0),
    "FlowGMM": partial(FlowGMM, 2, flow=FLOW, max_epochs=12, random_state=0),
    "FlowDensity": partial(FlowDensity, FLOW, max_epochs=12, random_state=0),
    "RAD": partial(RAD, n_folds=2, hidden=(8,), max_epochs=4, random_state=0),
    "DeepMixture": partial(DeepMixture, 2, **DEEP),
    "DeepClustering": partial(DeepClustering, 2, method="idec", **DEEP),
    "GaussianMixture": partial(GaussianMixture, 2, random_state=0),
}


class Count(NamedTuple):
    """What came of the faults of one kind."""

    kind: str
    faults: int
    refused: int
    wrong: int
    foreign: int
    hung: int
    megabytes: float
    # the last of the foreign errors: what, and where it was raised
    example: str = ""


def blobs() -> NDArray[np.float64]:
    """Two round clusters of a hundred rows each."""
    rows = np.random.default_rng(0).normal(size=(200, 2))
    rows[100:] += 5
    return rows


@experiment("faults", seeds=1, summary="killed fits, damaged and forged files, bad inputs")
def faults(run: Run) -> Outcome:
    """Faults that changed an answer, lost a file, cost much, or had no error of ours."""
    seed = run.seeds[0]
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings(action="ignore"):
        folder = Path(name)
        # each kind has its own draws, so that one fault can be found again without the others
        counts = [
            killed_fits(folder, random.Random(seed), KILLS),
            damaged_models(folder, random.Random(seed), RAW),
            forged_models(folder, random.Random(seed), FORGED),
            spoilt_checkpoints(folder, random.Random(seed), CHECKPOINTS),
            bad_inputs(random.Random(seed), INPUTS),
        ]
    figures = [
        Figure("faults with a wrong answer or a loss", sum(c.wrong for c in counts), 0, "lower"),
        Figure("foreign errors", sum(c.foreign for c in counts), 0, "lower"),
        Figure("faults that hung", sum(c.hung for c in counts), 0, "lower"),
    ]
    most = max(c.megabytes for c in counts)
    figures.append(Figure("memory of refused files, MB", most, 200, "lower"))
    table = text_table(Count._fields[:-1], [[str(value) for value in c[:-1]] for c in counts])
    examples = {c.kind: c.example for c in counts if c.example}
    return Outcome(figures, {"estimators": sorted(MAKERS), "examples": examples}, table)


def killed_fits(folder: Path, source: random.Random, n: int) -> Count:
    """Fits that are killed at any time, over and over, end with the bits of those that were not."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    known: dict[str, str] = {}
    results: Counter[str] = Counter()
    for number in range(n):
        name = sorted(MAKERS)[number % len(MAKERS)]
        path = folder / f"{name}.{number}"
        if name not in known:
            fit_to(path, name)
            known[name] = answers(path)
            path.unlink()
        process = context.Process(target=_fit_quietly, args=(path, name))
        process.start()
        process.join(source.uniform(0.2, 3.0))
        if process.pid is not None and process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(process.pid, getattr(signal, SIGNALS[number % len(SIGNALS)]))
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            results["hung"] += 1
        fit_to(path, name)
        left = [file for file in folder.iterdir() if file.name.lstrip(".").startswith(path.name)]
        results["wrong"] += answers(path) != known[name] or left != [path]
        path.unlink()
    return Count("kills", n, 0, results["wrong"], 0, results["hung"], 0.0)


def _fit_quietly(path: Path, name: str) -> None:
    """What is interrupted here says nothing of it."""
    with suppress(KeyboardInterrupt):
        fit_to(path, name)


def fit_to(path: Path, name: str) -> None:
    """Go on with a fit, save it, and remove its checkpoint, as the command does."""
    torch.set_num_threads(1)
    estimator, checkpoint = MAKERS[name](), Path(f"{path}.checkpoint")
    if estimator.fit_takes("resume"):
        estimator.set_params(fit_options={"checkpoint": checkpoint, "checkpoint_steps": 3})
    with warnings.catch_warnings(action="ignore"):
        resume = estimator.fit_takes("resume")
        estimator.fit_keeping_checkpoint(blobs(), resume=resume)
    save(estimator, path)
    for file in estimator.checkpoint_files(checkpoint):
        file.unlink()


def answers(path: Path) -> str:
    """A fingerprint of what a model says of rows."""
    return fingerprint({"said": torch.as_tensor(used(load(path)))})


def used(model: Estimator) -> NDArray[np.float64]:
    """Scores or clusters of rows."""
    rows = blobs()
    if model.score_kind != "none":
        return model.score_samples(rows)  # pyright: ignore[reportAttributeAccessIssue]
    return model.predict_proba(rows)  # pyright: ignore[reportAttributeAccessIssue]


def damaged_models(folder: Path, source: random.Random, n: int) -> Count:
    """Model files with bytes that are others, lost or new."""
    contents = [path.read_bytes() for path in _models(folder).values()]
    path = folder / "damaged"

    def attempt() -> bool:
        path.write_bytes(damaged(source.choice(contents), source))
        load(path)
        return False

    return _counted("damaged models", n, attempt)


def forged_models(folder: Path, source: random.Random, n: int) -> Count:
    """Model files that make no sense under a right checksum: refused, or models that answer."""
    trees = [read_archive(path, "model") for path in _models(folder).values()]
    path = folder / "forged"

    def attempt() -> bool:
        _write_forged(path, "model", source.choice(trees), source)
        used(load(path))
        return True

    return _counted("forged models", n, attempt)


def spoilt_checkpoints(folder: Path, source: random.Random, n: int) -> Count:
    """Checkpoints, damaged and forged in turn: refused, or gone on with to the end."""
    path = folder / "checkpoint"
    x = torch.as_tensor(blobs(), dtype=torch.float32)
    options = FitOptions(max_epochs=2, batch_size=64, checkpoint=path, progress=False)

    def run(*, resume: bool) -> None:
        flow = Likelihood(realnvp(2, n_layers=1, hidden=[4], seed=0))
        generator = torch.Generator().manual_seed(0)
        fit(flow, {"x": x}, options=options, generator=generator, resume=resume)

    run(resume=False)
    content, tree = path.read_bytes(), read_archive(path, "checkpoint")

    def attempt() -> bool:
        raw = source.random() < 0.5
        if raw:
            path.write_bytes(damaged(content, source))
        else:
            _write_forged(path, "checkpoint", tree, source)
        run(resume=True)
        return not raw

    # that of another run is refused by a ValueError
    return _counted("checkpoints", n, attempt, (ValueError,))


def bad_inputs(source: random.Random, n: int) -> Count:
    """Rows that cannot be fitted, and settings that cannot be meant: one of Python's own errors."""
    rows = blobs()
    holes = np.where(np.arange(400).reshape(200, 2) == 7, np.nan, rows)
    bad = [
        *(holes, np.where(np.isnan(holes), np.inf, rows), rows[:0], rows[:, :0], rows[0]),
        *(rows.astype(str) + "x", rows[None], None, 3, "rows", [[1, 2], [3]], rows * 1j),
        *([["a", 1.0]] * 9, {"a": rows}, [rows, None]),
    ]
    values = [-1, 0.5, "nope", [], {}, float("nan"), float("inf"), [-1], object()]
    names = ["max_epochs", "batch_size", "learning_rate", "hidden", "flow", "device", "tol"]
    names += ["n_components", "random_state", "fit_options", "covariance_type", "latent"]

    def attempt() -> bool:
        estimator = MAKERS[source.choice(sorted(MAKERS))]()
        settings = estimator.get_params(deep=False)
        name = source.choice([name for name in names if name in settings])
        if source.random() < 0.5:
            estimator.set_params(**{name: source.choice(values)})
            estimator.fit_keeping_checkpoint(rows)
            return True  # which may have been meant
        estimator.fit_keeping_checkpoint(source.choice(bad))
        return False

    return _counted("bad inputs", n, attempt, (ValueError, TypeError))


def _write_forged(path: Path, kind: str, tree: dict[str, Any], source: random.Random) -> None:
    """Write the first forgery that can be written at all."""
    while True:
        with suppress(TypeError, ValueError):
            return write_archive(path, kind, forged(tree, source))  # pyright: ignore - may be no tree


def _models(folder: Path) -> dict[str, Path]:
    """A model file of each estimator."""
    paths = {name: folder / name for name in MAKERS}
    for name, path in paths.items():
        if not path.exists():
            fit_to(path, name)
    return paths


def _counted(
    kind: str,
    n: int,
    attempt: Callable[[], bool],
    own: tuple[type[Exception], ...] = (ModelFileError,),
) -> Count:
    """Try so often; an attempt returns whether it may come to an end without an error."""
    results: Counter[str] = Counter()
    example = ""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(n):
        try:
            with _limit(PATIENCE):
                results["wrong"] += not attempt()
        except own:
            results["refused"] += 1
        except TimeoutError:
            results["hung"] += 1
        except Exception as error:
            results["foreign"] += 1
            last = traceback.extract_tb(error.__traceback__)[-1]
            example = f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    refused, wrong, foreign, hung = (results[k] for k in ("refused", "wrong", "foreign", "hung"))
    return Count(kind, n, refused, wrong, foreign, hung, round(grown, 1), example)


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in what takes longer."""

    def late(number: int, frame: object) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
