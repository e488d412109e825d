"""Result files: one JSON file for each run of an experiment or a benchmark."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from anabranch.data.atomic import atomic_write
from anabranch.experiments.outcome import Outcome
from anabranch.version import __version__

PACKAGES = ("torch", "numpy", "scikit-learn")


def write_result(
    name: str,
    outcome: Outcome,
    seeds: Sequence[int],
    seconds: float,
    out: Path = Path("results"),
    budget: str = "cpu",
) -> Path:
    """Write ``out/NAME.json`` with figures, settings, table, seeds, machine, versions and commit.

    Args:
        name: of the experiment or benchmark.
        outcome: its figures, its table, and its settings, which are plain JSON values.
        seeds: those it ran with.
        seconds: how long it took.
        out: the folder; made where it is missing.
        budget: "cpu" or "full".

    Returns:
        The file, written whole or not at all.

    Raises:
        TypeError: for settings that are not JSON values.
        OSError: where the file cannot be written.
    """
    tree = {
        "name": name,
        "budget": budget,
        "figures": [figure.to_json() for figure in outcome.figures],
        "table": outcome.table.splitlines(),
        "settings": outcome.settings,
        "seeds": list(seeds),
        "seconds": round(seconds, 3),
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
    }
    path = Path(out) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(tree, indent=2, allow_nan=False)
    with atomic_write(path) as file:
        file.write(f"{text}\n".encode())
    return path


def write_pictures(name: str, pictures: Mapping[str, bytes], out: Path) -> list[Path]:
    """Write PNG and GIF files to ``out/pictures/NAME-*``."""
    folder = Path(out) / "pictures"
    if pictures:
        folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}-{file}" for file in pictures]
    for path, content in zip(paths, pictures.values(), strict=True):
        with atomic_write(path) as file:
            file.write(content)
    return paths


def machine() -> dict[str, Any]:
    """The processor's model, the cores this process may use, and the memory in GiB."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": _memory_gib(),
    }


def versions() -> dict[str, str | None]:
    """Versions of Python, the packages that decide the figures, and this one."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found | {"anabranch": __version__}


def commit() -> str | None:
    """The commit of the source tree, with "+dirty" where it was changed; None outside of one.

    Results and pages made from them do not count as changes: every run changes them.
    """
    source = Path(__file__)
    # an installed package may lie inside the repository of another project
    if _git(source.parent, "ls-files", "--error-unmatch", source.name) is None:
        return None
    head = _git(source.parent, "rev-parse", "HEAD")
    changed = _git(
        source.parent,
        "status",
        "--porcelain",
        "--",
        ":/",
        ":(top,exclude)results",
        ":(top,exclude)docs",
    )
    return f"{head}+dirty" if head and changed else head


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
