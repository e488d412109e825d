"""What the commands of all benchmarks share: their options, and the file they write."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from anabranch.experiments import Figure, Outcome, write_result


def record(
    name: str,
    description: str | None,
    run: Callable[..., list[Figure]],
    *,
    settings: dict[str, Any],
    **options: Any,
) -> None:
    """Run a benchmark with the options of the command line, and write its figures.

    It runs on one thread, and exits with 1 where a figure is missed.

    Args:
        name: of the file in the folder of results.
        description: for --help.
        run: from the options to the figures.
        settings: what else the file records.
        options: keyword arguments of ``run`` with their defaults; True makes a flag --no-....
    """
    parser = argparse.ArgumentParser(description=description)
    for key, default in options.items():
        if default is True:
            parser.add_argument(f"--no-{key}", dest=key, action="store_false")
        else:
            parser.add_argument(f"--{key}", type=type(default), default=default)
    parser.add_argument("--out", type=Path, default=Path("results"))
    given = vars(parser.parse_args())
    out = given.pop("out")
    torch.set_num_threads(1)
    started = time.perf_counter()
    figures = run(**given)
    seconds = time.perf_counter() - started
    outcome = Outcome(figures, {**given, **settings})
    path = write_result(name, outcome, seeds=[0], seconds=seconds, out=out)
    print(f"wrote {path}")
    if any(figure.met is False for figure in figures):
        raise SystemExit(1)
