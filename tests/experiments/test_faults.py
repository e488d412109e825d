"""A few faults of each kind: nothing is wrong, lost, hung, or ends in a foreign error."""

import random

import pytest

from anabranch.experiments import faults
from anabranch.experiments.damage import damaged


@pytest.fixture(autouse=True)
def few(monkeypatch):
    kept = {name: faults.MAKERS[name] for name in ("GaussianMixture", "FlowDensity")}
    monkeypatch.setattr(faults, "MAKERS", kept)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "kind", [faults.damaged_models, faults.forged_models, faults.spoilt_checkpoints]
)
def test_files(tmp_path, kind):
    count = kind(tmp_path, random.Random(0), 30)
    assert (count.wrong, count.foreign, count.hung) == (0, 0, 0)
    assert count.refused > 10


@pytest.mark.filterwarnings("ignore")
def test_inputs():
    count = faults.bad_inputs(random.Random(0), 20)
    assert (count.wrong, count.foreign, count.hung) == (0, 0, 0)


@pytest.mark.slow
def test_kills(tmp_path):
    count = faults.killed_fits(tmp_path, random.Random(0), 4)
    assert (count.wrong, count.foreign, count.hung) == (0, 0, 0)


def test_what_is_wrong_is_counted(tmp_path, monkeypatch):
    """A reader that accepts anything, and one that ends in an error of its own."""
    monkeypatch.setattr(faults, "load", lambda path: None)
    assert faults.damaged_models(tmp_path, random.Random(0), 3).wrong == 3

    def foreign(path):
        raise KeyError(path)

    monkeypatch.setattr(faults, "load", foreign)
    monkeypatch.setattr(faults, "_models", lambda folder: {})
    monkeypatch.setattr(faults.random.Random, "choice", lambda self, items: b"abc")
    count = faults.damaged_models(tmp_path, random.Random(0), 3)
    assert count.foreign == 3
    assert count.example.startswith("KeyError: ")
    assert "test_faults.py" in count.example, "where it was raised"


def test_damage_is_damage():
    source = random.Random(0)
    assert all(damaged(b"\0\0\0", source) != b"\0\0\0" for _ in range(200))
