"""The experiments by name."""

import pkgutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from anabranch.experiments.outcome import BUDGETS, Outcome, Run
from anabranch.experiments.results import write_pictures, write_result

_EXPERIMENTS: dict[str, "Experiment"] = {}


@dataclass(frozen=True)
class Experiment:
    """A registered experiment.

    Attributes:
        name: as on the command line.
        function: does the work.
        seeds: how many seeds it takes by default.
        summary: one line about it.
        needs_data: whether it reads data sets that the package does not hold.
    """

    name: str
    function: Callable[[Run], Outcome]
    seeds: int
    summary: str
    needs_data: bool


def experiment(
    name: str, *, seeds: int, summary: str, needs_data: bool = False
) -> Callable[[Callable[[Run], Outcome]], Callable[[Run], Outcome]]:
    """Register a function as an experiment.

    Args:
        name: unique, of small letters, digits and hyphens: it names files.
        seeds: how many seeds it takes by default.
        summary: one line about it.
        needs_data: whether it reads data sets that the package does not hold.

    Raises:
        ValueError: for a name that is taken or cannot name a file, or fewer than one seed.
    """
    if not name.replace("-", "").isalnum() or name != name.lower() or not name.isascii():
        raise ValueError(f"name must be of small letters, digits and hyphens, got {name!r}")
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1, got {seeds}")

    def register(function: Callable[[Run], Outcome]) -> Callable[[Run], Outcome]:
        if name in _EXPERIMENTS:
            raise ValueError(f"there is an experiment {name!r} already")
        _EXPERIMENTS[name] = Experiment(name, function, seeds, summary, needs_data)
        return function

    return register


def list_experiments() -> dict[str, Experiment]:
    """All experiments, by name: those that the modules of this package register."""
    for module in _modules():
        import_module(f"anabranch.experiments.{module}")
    return dict(sorted(_EXPERIMENTS.items()))


def _modules() -> list[str]:
    return [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]


def run_experiment(
    name: str,
    *,
    seeds: int | Sequence[int] | None = None,
    budget: str = "cpu",
    out: Path = Path("results"),
    data: Path | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> Path:
    """Run an experiment and write ``out/NAME.json`` and ``out/pictures/NAME-*``.

    Args:
        name: the experiment.
        seeds: how many seeds, 0, 1, ..., or the seeds themselves, such as fresh ones to try
            settings on; None for as many as the experiment takes.
        budget: "cpu" or "full".
        out: folder for the results; made where it is missing.
        data: folder that holds the data sets.
        on_outcome: called before anything is written, so that no outcome is lost to a full disk.

    Returns:
        The JSON file.

    Raises:
        ValueError: for an unknown name or budget, or seeds that are none, negative or repeated.
        FileNotFoundError: where data are needed and not there.
    """
    found = _find(name)
    if budget not in BUDGETS:
        raise ValueError(f"budget must be one of {BUDGETS}, got {budget!r}")
    run = Run(_seeds(found.seeds if seeds is None else seeds), budget, data)
    if found.needs_data:
        run.path()
    Path(out).mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    outcome = found.function(run)
    seconds = time.perf_counter() - started
    if on_outcome is not None:
        on_outcome(outcome)
    write_pictures(name, outcome.pictures, out)
    return write_result(name, outcome, run.seeds, seconds, out, budget)


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(seeds, int):
        if seeds < 1:
            raise ValueError(f"seeds must be at least 1, got {seeds}")
        return tuple(range(seeds))
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError(f"seeds must be different numbers from 0 on, got {list(seeds)}")
    return tuple(seeds)


def _find(name: str) -> Experiment:
    known = list_experiments()
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(
            f"there is no experiment {name!r}{hint}; there are {', '.join(known) or 'none'}"
        )
    return known[name]
