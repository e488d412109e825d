"""A registry with one small experiment."""

import importlib.util
from pathlib import Path

import pytest

from anabranch.experiments import Figure, Outcome, experiment, registry

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def calls(monkeypatch):
    """Registers "coin-flips" and "needs-mnist"; gives what they were run with."""
    monkeypatch.setattr(registry, "_EXPERIMENTS", {})
    monkeypatch.setattr(registry, "_modules", list)
    seen = []

    @experiment("coin-flips", seeds=3, summary="flips a coin")
    def coin_flips(run):
        seen.append(run)
        figures = [
            Figure("heads", 0.5, target=0.4, better="higher"),
            Figure("flips", 2),
        ]
        return Outcome(figures, {"flips": 2}, "heads tails\n1 1", {"coin.png": PNG})

    @experiment("needs-mnist", seeds=1, summary="reads digits", needs_data=True)
    def needs_mnist(run):
        seen.append(run)
        size = run.path("mnist", "digits.idx").stat().st_size
        return Outcome([Figure("size", size, target=5, better="lower")], {})

    return seen


@pytest.fixture(scope="session")
def make_results():
    """The script that makes the page of results."""
    docs = Path(__file__).parents[2] / "docs"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(docs))
        spec = importlib.util.spec_from_file_location("make_results", docs / "make_results.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module
