import json
from pathlib import Path

import pytest

from anabranch.experiments import (
    Outcome,
    experiment,
    list_experiments,
    registry,
    results,
    run_experiment,
    write_result,
)

from .conftest import PNG

KEYS = [
    "name", "budget", "figures", "table", "settings", "seeds", "seconds", "machine", "versions",
    "commit",
]  # fmt: skip


def test_a_run_writes_its_result(calls, tmp_path):
    seen = []
    path = run_experiment("coin-flips", out=tmp_path / "out", on_outcome=seen.append)
    assert path == tmp_path / "out" / "coin-flips.json"
    result = json.loads(path.read_text())
    assert list(result) == KEYS
    assert result["figures"] == [
        {"name": "heads", "value": 0.5, "target": 0.4, "better": "higher", "met": True},
        {"name": "flips", "value": 2.0, "target": None, "better": "report", "met": None},
    ]
    assert (result["name"], result["budget"], result["seeds"]) == ("coin-flips", "cpu", [0, 1, 2])
    assert result["settings"] == {"flips": 2}
    assert result["table"] == ["heads tails", "1 1"]
    assert result["seconds"] >= 0
    assert set(result["machine"]) == {"processor", "cores", "memory_gib"}
    assert result["machine"]["cores"] >= 1
    assert result["machine"]["memory_gib"] > 0
    assert list(result["versions"]) == ["python", "torch", "numpy", "scikit-learn", "anabranch"]
    assert all(result["versions"].values())
    assert (tmp_path / "out" / "pictures" / "coin-flips-coin.png").read_bytes() == PNG
    assert [outcome.table for outcome in seen] == ["heads tails\n1 1"]
    files = sorted(p.name for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert files == ["coin-flips-coin.png", "coin-flips.json"]


def test_the_run_is_as_asked(calls, tmp_path):
    run_experiment("coin-flips", seeds=5, budget="full", out=tmp_path, data=tmp_path)
    assert calls[0].seeds == (0, 1, 2, 3, 4)
    assert (calls[0].budget, calls[0].data) == ("full", tmp_path)
    path = run_experiment("coin-flips", seeds=[101, 100], out=tmp_path)
    assert calls[1].seeds == (101, 100)
    assert json.loads(path.read_text())["seeds"] == [101, 100]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("coin", {}, r"no experiment 'coin'; there are coin-flips, needs-mnist"),
        ("coin-flip", {}, r"'coin-flip' \(did you mean 'coin-flips'\?\)"),
        ("coin-flips", {"budget": "huge"}, "budget must be one of"),
        ("coin-flips", {"seeds": 0}, "seeds must be at least 1"),
        ("coin-flips", {"seeds": [1, 1]}, r"seeds must be different numbers .* got \[1, 1\]"),
        ("coin-flips", {"seeds": [-1]}, r"from 0 on, got \[-1\]"),
        ("coin-flips", {"seeds": []}, r"got \[\]"),
    ],
)
def test_runs_that_cannot_be(calls, tmp_path, name, options, said):
    with pytest.raises(ValueError, match=said):
        run_experiment(name, out=tmp_path / "out", **options)
    assert calls == []
    assert list(tmp_path.iterdir()) == []


def test_data_are_asked_for_before_the_work(calls, tmp_path):
    with pytest.raises(FileNotFoundError, match="--data DIR"):
        run_experiment("needs-mnist", out=tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        run_experiment("needs-mnist", out=tmp_path / "out", data=tmp_path / "no")
    assert calls == []
    assert list(tmp_path.iterdir()) == []


def test_an_outcome_is_shown_before_it_is_written(calls, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(registry, "write_result", broken)
    seen = []
    with pytest.raises(OSError, match="No space"):
        run_experiment("coin-flips", out=tmp_path, on_outcome=seen.append)
    assert len(seen) == 1


@pytest.mark.parametrize("name", ["", "Coin", "a/b", "a b", "a.b", "münze"])
def test_names_that_name_no_file(calls, name):
    with pytest.raises(ValueError, match="name must be of small letters"):
        experiment(name, seeds=1, summary="")


def test_a_name_is_taken_once(calls):
    with pytest.raises(ValueError, match="there is an experiment 'coin-flips' already"):
        experiment("coin-flips", seeds=1, summary="")(lambda _: Outcome([], {}))
    with pytest.raises(ValueError, match="seeds must be at least 1"):
        experiment("other", seeds=0, summary="")


def test_the_modules_of_the_package_can_be_loaded():
    for name, found in list_experiments().items():
        assert found.name == name
        assert found.summary
        assert "\n" not in found.summary


def test_every_module_with_an_experiment_is_found():
    folder = Path(registry.__file__).parent
    registered = {found.function.__module__ for found in list_experiments().values()}
    written = {p.stem for p in folder.glob("*.py") if "\n@experiment(" in p.read_text()}
    assert registered == {f"anabranch.experiments.{name}" for name in written}
    assert len(written) > 20


def test_settings_must_be_plain(tmp_path):
    with pytest.raises(TypeError):
        write_result("x", Outcome([], {"a": Path("b")}), [0], 1.0, tmp_path)
    with pytest.raises(ValueError, match="Out of range float"):
        write_result("x", Outcome([], {"a": float("nan")}), [0], 1.0, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_commit(monkeypatch):
    answers = {"ls-files": "results.py", "rev-parse": "abc", "status": ""}
    monkeypatch.setattr(results, "_git", lambda _, command, *__: answers[command])
    assert results.commit() == "abc"
    answers["status"] = " M src/a.py"
    assert results.commit() == "abc+dirty"
    answers["ls-files"] = None  # installed inside the repository of another project
    assert results.commit() is None


def test_git_itself(tmp_path):
    def git(*arguments):
        return results._git(tmp_path, *arguments)

    assert git("rev-parse", "HEAD") is None
    if git("init", "-q") is None:
        pytest.skip("git is not installed")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    assert git("ls-files", "--error-unmatch", "a") == "a"
    assert git("ls-files", "--error-unmatch", "b") is None
