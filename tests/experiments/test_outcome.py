import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from anabranch.experiments import Figure, Run, image_data


@pytest.mark.parametrize(
    ("value", "target", "better", "met"),
    [
        (0.99, 0.99, "higher", True),
        (0.98, 0.99, "higher", False),
        (0.10, 0.10, "lower", True),
        (0.11, 0.10, "lower", False),
        (math.nan, 0.1, "lower", False),
        (math.nan, 0.1, "higher", False),
        (math.inf, 0.1, "higher", True),
        (0.5, None, "report", None),
        (np.float32(0.5), np.float64(0.4), "higher", True),
    ],
)
def test_met(value, target, better, met):
    assert Figure("f", value, target, better).met is met


@pytest.mark.parametrize(
    ("target", "better"), [(None, "higher"), (None, "lower"), (1.0, "report"), (1.0, "more")]
)
def test_figures_that_cannot_be(target, better):
    with pytest.raises(ValueError, match="better"):
        Figure("f", 1.0, target, better)


def test_values_that_json_has_not():
    assert Figure("f", math.nan, 1.0, "lower").to_json() == {
        "name": "f", "value": None, "target": 1.0, "better": "lower", "met": False,
    }  # fmt: skip


def test_seeds_are_for_figures_or_for_choosing_settings():
    assert not Run((0, 99)).tuning
    assert Run((100, 101)).tuning
    with pytest.raises(ValueError, match=r"all be below 100, .*, got \[0, 100\]"):
        Run((0, 100))


def test_settings_are_chosen_without_the_test_images(monkeypatch):
    tables = {"train": np.arange(12.0)[:, None], "t10k": np.full((6, 1), -1.0)}

    def read(paths):
        X = tables[paths[0].name.split("-")[0]]
        return SimpleNamespace(X=X, labels=np.zeros(len(X), dtype=int))

    monkeypatch.setattr(image_data, "read_tables", read)
    monkeypatch.setattr(Run, "path", lambda _, *parts: Path(*parts))
    for seeds, expected in (((0,), ([*range(12)], [-1] * 6)), ((100,), ([*range(10)], [10, 11]))):
        found = (image_data.images(Run(seeds), "mnist", part)[0] for part in ("train", "t10k"))
        assert tuple(X[:, 0].tolist() for X in found) == expected


def test_paths_of_data(tmp_path):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "x").write_text("")
    assert Run((0,), data=tmp_path).path("mnist", "x") == tmp_path / "mnist" / "x"
    with pytest.raises(FileNotFoundError, match=r"there is no uci/x in .*, the folder .* --data"):
        Run((0,), data=tmp_path).path("uci", "x")
    with pytest.raises(FileNotFoundError, match=r"reads uci/x: give the folder .* by --data DIR"):
        Run((0,)).path("uci", "x")
