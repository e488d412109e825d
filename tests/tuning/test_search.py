"""A search finds what is better, and says so of rows that no trial has seen."""

import numpy as np
import pandas as pd
import pytest

from anabranch import FlowDensity, FlowMixture, load
from anabranch.tuning import Range, Tuner
from anabranch.tuning.space import check_space, suggested

optuna = pytest.importorskip("optuna")
random = np.random.RandomState(0)
TWO = np.r_[random.randn(150), random.randn(150) + 12][:, None]
GAUSSIANS = FlowMixture(1, flow=None, max_epochs=1, random_state=0)


def test_the_better_setting_is_found_and_fitted_to_all_rows():
    tuned = Tuner({"n_components": [1, 2]}, n_trials=3).search(GAUSSIANS, TWO)
    assert tuned.settings == {"n_components": 2}
    # the mixture of two against one Gaussian of their variance
    expected = np.log(np.sqrt(1 + 36) / 2)
    assert abs(tuned.held_out - tuned.untuned - expected) < 0.2
    assert 0 < tuned.gain_error < 0.1
    assert tuned.estimator.n_components_ == 2
    assert GAUSSIANS.n_components == 1
    assert len(tuned.trials) == 3


def test_what_is_not_beaten_stays():
    two = FlowMixture(2, flow=None, max_epochs=1, random_state=0)
    tuned = Tuner({"n_components": [1]}, n_trials=1).search(two, TWO)
    assert tuned.settings == {}
    assert tuned.held_out == tuned.untuned > tuned.trials[0][1]
    assert tuned.estimator.n_components_ == 2


@pytest.mark.slow
def test_trials_that_fall_behind_are_stopped(monkeypatch):
    from anabranch.tuning import search

    monkeypatch.setattr(search, "STARTUP", 1)
    flow = {"name": "realnvp", "n_layers": 1, "hidden": [4]}
    density = FlowDensity(flow=flow, max_epochs=12, batch_size=64, random_state=0)
    # a rate at which nothing is learned, after one at which something is
    tuner = Tuner({"learning_rate": [1e-9, 1e-2]}, n_trials=8, random_state=1)
    tuned = tuner.search(density, random.exponential(size=(400, 2)))
    slow = [value for settings, value in tuned.trials if settings["learning_rate"] == 1e-9]
    assert None in slow


@pytest.mark.slow
def test_a_search_is_kept_and_gone_on_with(tmp_path):
    space, storage = {"n_components": [1, 2]}, f"sqlite:///{tmp_path}/s.db"
    Tuner(space, 2, storage=storage).search(GAUSSIANS, TWO)
    tuned = Tuner(space, 1, storage=storage).search(GAUSSIANS, TWO)
    assert len(tuned.trials) == 3


@pytest.mark.slow
def test_labels_teach_every_trial():
    side = np.repeat([0, 1], 150)
    y = np.where(np.arange(300) % 5 == 0, 1 - side, -1)
    mixture = FlowMixture(2, flow=None, max_epochs=1, random_state=0)
    tuned = Tuner({"batch_size": [64, 128]}, 1).search(mixture, TWO, y)
    assert (tuned.estimator.predict(TWO) == 1 - side).mean() > 0.99


def test_choices_may_be_anything_and_ranges_keep_their_kind():
    flows = [{"name": "maf", "n_layers": 2}, None]
    space = {
        "flow": flows,
        "n_components": Range(2, 5),
        "learning_rate": Range(1e-3, 1e-1, log=True),
    }
    trial = optuna.trial.FixedTrial({"flow": 0, "n_components": 3, "learning_rate": 0.01})
    assert suggested(trial, space) == {
        "flow": flows[0],
        "n_components": 3,
        "learning_rate": 0.01,
    }


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({}, "must have a setting"),
        ({"flows": ["maf"]}, "space has no setting 'flows'"),
        ({"flow": "maf"}, "must be a list of choices or a Range"),
        ({"flow": []}, "must be a list of choices or a Range"),
    ],
)
def test_a_space_is_checked(space, words):
    with pytest.raises(ValueError, match=words):
        check_space(space, FlowDensity().get_params(deep=False))
    with pytest.raises(ValueError, match="begins above zero"):
        Range(0.0, 1.0, log=True)
    with pytest.raises(ValueError, match="n_trials must be at least 1"):
        Tuner(n_trials=0)


def test_the_command_writes_the_best_model(tmp_path):
    from tests.cli.conftest import invoke

    pd.DataFrame(TWO, columns=["x"]).to_csv(tmp_path / "t.csv", index=False)
    words = [
        "tune",
        tmp_path / "t.csv",
        "-o",
        tmp_path / "m",
        "--trials",
        "2",
        "--set",
        "flow=null",
    ]
    done = invoke(*words, "--set", "max_epochs=1", "-k", "2", "--vary", "batch_size=64,128")
    assert done.exit_code == 0, done.output
    assert "nats a row held out" in done.stdout
    assert load(tmp_path / "m").n_components_ == 2
    assert "expected KEY=" in invoke(*words, "--vary", "batch_size").output
    assert "from less to more" in invoke(*words, "--vary", "learning_rate=1..0.1").output
