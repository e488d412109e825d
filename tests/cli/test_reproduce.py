"""Running experiments from the command line."""

import json

import pytest

from anabranch.experiments import Figure, Outcome, experiment, registry


@pytest.fixture
def flips(monkeypatch):
    """Registers an experiment; gives the list of its runs."""
    monkeypatch.setattr(registry, "_EXPERIMENTS", {})
    monkeypatch.setattr(registry, "_modules", list)
    runs = []

    @experiment("flips", seeds=3, summary="flips a coin")
    def flip(run):
        runs.append(run)
        target = 0.9 if run.budget == "full" else 0.4
        figures = [
            Figure("heads", 0.5, target=target, better="higher"),
            Figure("flips", 2),
        ]
        if run.data is not None:
            run.path("coins.csv")
        return Outcome(figures, {}, "a table")

    return runs


def test_list(succeed, flips):
    assert succeed("reproduce", "--list") == "flips  flips a coin\n"


def test_figures_that_are_met(succeed, flips, tmp_path):
    printed = succeed("reproduce", "flips", "--out", tmp_path / "new")
    assert [line.split() for line in printed.splitlines()] == [
        ["a", "table"],
        ["figure", "value", "target"],
        ["heads", "0.5000", ">=", "0.4", "met"],
        ["flips", "2.0000"],
        ["wrote", f"{tmp_path}/new/flips.json"],
    ]
    assert json.loads((tmp_path / "new" / "flips.json").read_text())["seeds"] == [0, 1, 2]


def test_a_missed_figure_exits_with_1(cli, flips, tmp_path):
    result = cli("reproduce", "flips", "--budget", "full", "--seeds", 1, "--out", tmp_path)
    assert result.exit_code == 1
    assert "MISSED" in result.stdout
    assert result.stderr == "missed: heads\n"
    assert (tmp_path / "flips.json").exists()
    assert flips[0].seeds == (0,)


def test_an_unknown_name(fail, flips, tmp_path):
    assert fail("reproduce", "flip", "--out", tmp_path) == (
        "error: there is no experiment 'flip' (did you mean 'flips'?); there are flips"
    )


def test_missing_data(fail, flips, tmp_path):
    sentence = fail("reproduce", "flips", "--data", tmp_path, "--out", tmp_path)
    assert "there is no coins.csv in" in sentence


@pytest.mark.parametrize(
    ("given", "seeds"), [("2", (0, 1)), ("100,101", (100, 101)), ("100,", (100,))]
)
def test_seeds_are_a_count_or_the_seeds_themselves(succeed, flips, tmp_path, given, seeds):
    succeed("reproduce", "flips", "--seeds", given, "--out", tmp_path)
    assert flips[0].seeds == seeds


@pytest.mark.parametrize(
    "args",
    [
        *(["--seeds", given] for given in ("0", "-1", "1.5", "a", ",", "1,,2", "1,-2", "")),
        ["--budget", "huge"],
    ],
)
def test_wrong_use(cli, flips, args):
    assert cli("reproduce", "flips", *args).exit_code == 2


def test_results_that_cannot_be_written(fail, flips, tmp_path):
    (tmp_path / "file").write_text("")
    assert "Not a directory" in fail("reproduce", "flips", "--out", tmp_path / "file" / "x")
    assert flips == []
