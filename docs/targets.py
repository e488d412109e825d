"""The figures that the code of an experiment states, with their targets, at no fit's cost.

Each experiment is run with measurements that are made up from the types of their fields.
"""

import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints
from unittest.mock import MagicMock, patch

import numpy as np

from anabranch.experiments import Outcome, Rows, Run, list_experiments, planar_vi
from anabranch.experiments.clustering_table import METHODS, Score
from anabranch.experiments.density_tables import FLOWS
from anabranch.experiments.hedge import KEEL, UCI, Table
from anabranch.experiments.missing_cells import SHARES, TABLES, Gaps
from anabranch.problems import Entropy, Problem


def made_up_outcome(name: str, budget: str) -> Outcome:
    """What an experiment returns on its default seeds, where every measurement is 0.5."""
    found = list_experiments()[name]
    with _without_fits(importlib.import_module(found.function.__module__)):
        return found.function(Run(tuple(range(found.seeds)), budget))


@contextmanager
def _without_fits(module: Any) -> Iterator[None]:
    stand_ins: dict[str, Callable[..., Any]] = {
        "per_seed": _without_measuring,
        **{name: lambda *_: b"" for name in dir(module) if name.endswith(DRAWN)},
        **READ,
        **MEASURED.get(module.__name__.rpartition(".")[2], {}),
    }
    with ExitStack() as stack:
        for name, stand_in in stand_ins.items():
            if hasattr(module, name):
                stack.enter_context(patch.object(module, name, stand_in))
        # bnaf-toys calls it where it stands
        stack.enter_context(patch.object(planar_vi, "mean_kl", lambda *_: 0.5))
        stack.enter_context(patch.object(Run, "path", lambda *_: Path()))
        stack.enter_context(patch.object(Problem, "entropy", lambda *_, **__: Entropy(1.0, 0.0)))
        yield


def _without_measuring(seeds: Any, one_seed: Any, *args: Any, **_: Any) -> Rows[Any]:
    """As `per_seed`."""
    kind = get_type_hints(one_seed)["return"]
    return Rows([_made_up(kind, args, seed) for seed in seeds], seconds=1.0)


def _made_up(kind: Any, args: Any, seed: int) -> Any:
    """A row of this type; text and whole numbers are those that the measurement was asked for."""
    given = [getattr(a, "name", a) for a in args]
    text, whole = (iter([a for a in given if isinstance(a, part)]) for part in (str, int))

    def value(field: str, hint: Any) -> Any:
        if field == "seed":
            return seed
        if field == "scores":
            return np.full((5, 2), 0.5)
        if hint is bool:
            return True
        if hint in (str, int, float):
            return next(text, "") if hint is str else next(whole, 5) if hint is int else 0.5
        for part in get_args(hint):
            if hasattr(part, "_fields"):
                return _made_up(part, (), seed)
            if get_origin(hint) in (list, tuple):
                return [0.5, 0.5] if part in (int, float) else [MagicMock(), MagicMock()]
        return MagicMock()

    return kind(**{field: value(field, hint) for field, hint in get_type_hints(kind).items()})


def _halves(module: str, kind: str) -> Callable[..., Any]:
    """Makes one row of a type of an experiment's module."""

    def row(*_: Any) -> Any:
        where = importlib.import_module(f"anabranch.experiments.{module}")
        return _made_up(getattr(where, kind), (), 0)

    return row


def _scores_of(*args: Any) -> dict[str, Any]:
    if len(args) > 4:  # where fitted autoencoders go
        args[4]["ae+gmm"] = None
    return {method: Score(0.5, 0.5, 0.5, 0.5) for method in METHODS}


def _compare(*_: Any) -> tuple[dict[str, float], dict[str, float]]:
    halves = dict.fromkeys(("GMM", *FLOWS, "mixture"), 0.5)
    return halves, halves


def _tables(_: Run) -> list[tuple[str, Any, int, int]]:
    return [(name, np.zeros((9, 2)), 5, 2) for name in (*UCI, *KEEL)]


def _compared(seed: int, name: str, *_: Any) -> Table:
    return Table(seed, name, 0.5, 0.5, 0.5, 0.5, 0.5)


def _gappy_tables() -> list[tuple[Any, ...]]:
    return [(name, None, 9, 2, share) for name in TABLES for share in SHARES]


def _gaps(seeds: Any, _: Any, name: str, *of: Any) -> Rows[Gaps]:
    halves = (0.5, 0.5, 0.5, 0.5, "mean", True)
    return Rows([Gaps(seed, name, of[-1], *halves) for seed in seeds], seconds=1.0)


# How the names of functions that draw end.
DRAWN = ("picture", "_pictures", "_drawn", "animation")
READ: dict[str, Callable[..., Any]] = {
    "images": lambda *_: (np.zeros((9, 4)), np.zeros(9, dtype=int)),
    "pooled": lambda *_: (np.zeros((9, 4)), np.zeros(9, dtype=int)),
    "contingency_text": lambda *_: "",
    "read_uci": lambda _: np.zeros((9, 2)),
    "read_covertype": lambda _: np.zeros((9, 2)),
}
# What is measured by other ways than `per_seed`, by module.
MEASURED: dict[str, dict[str, Callable[..., Any]]] = {
    "anomalies": {"rare_tables": lambda: [("abalone19", None)]},
    "bnaf_toys": dict.fromkeys(("energies_by_bnaf", "energies_by_planar"), lambda _: []),
    "clustering_digits": {
        "scores_of": _scores_of,
        "_reconstruction": lambda *_: (0.5, 0.5),
        "_random": lambda *_: 0.5,
        "best_gaussian_mixture": MagicMock(),
        "clustering_accuracy": lambda *_: 0.5,
    },
    "clustering_table": {"scores_of": _scores_of},
    "density_tables": {"_compare": _compare},
    "manifold_targets": {"seam": lambda _: (0.5, 0.5)},
    "dihedrals": {"angles": lambda *_: np.zeros((9, 2))},
    "earth": {"places": lambda *_: np.zeros((9, 3))},
    "faults": {
        name: _halves("faults", "Count")
        for name in (
            *("killed_fits", "damaged_models", "forged_models"),
            *("spoilt_checkpoints", "bad_inputs"),
        )
    },
    "vae_posteriors": {
        "affordable_steps": lambda *_: defaultdict(lambda: 1),
        "started": lambda *_: None,
    },
    "hedge": {"_tables": _tables, "compared": _compared},
    "missing_cells": {"_tables": _gappy_tables, "per_seed": _gaps},
    "mixed_tables": {"public_table": lambda _: None},
    "odd_rows": {"rare_tables": lambda: [("abalone19", None)]},
    "nvisa_ablation": {"sensitivity": lambda *_: (np.full((3, 2), 0.5), 1.0)},
    "nvisa_gradients": {"_fresh": lambda *_: 0.5},
    "planar_vi": {
        "_of_depth": lambda *_: [MagicMock()] * 4,
        "table": lambda _: "KL",
    },
    "rnade_toys": {
        "_folds": lambda *_: iter([([], 0)]),
        "draws": lambda *_: [],
        "_compare": _halves("rnade_toys", "Scores"),
    },
    "thesis_figures": dict.fromkeys(("affine_mass", "quadrant_error"), lambda *_: 0.5),
    "vine_autoencoder": {"_images": lambda *_: (np.zeros((9, 4)), np.zeros((9, 4)))},
}
