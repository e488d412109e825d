"""Fitted estimators in files, and interrupted fits that go on."""

import json
import signal

import numpy as np
import pandas as pd
import pytest
import torch

from anabranch import FlowMixture, load, save
from anabranch.archive import ModelFileError, read_archive, write_archive
from anabranch.objectives import MixtureObjective
from tests.estimators.data import FLOW, bent, blobs, moved, picture, quick

X, LABELS = bent()
PIXELS, CLASSES = picture()
FRAME = pd.DataFrame(X, columns=["width", "height"])
CASES = {
    "exact": ({}, X),
    "variational": ({"inference": "variational", "decay": 0.05}, X),
    "em": ({"algorithm": "em"}, X),
    "levels": ({"model_options": {"levels": 8}}, PIXELS),
    "levels variational": ({"model_options": {"levels": 8}, "inference": "variational"}, PIXELS),
    "frame": ({}, FRAME),
    "unlike": ({"flow": [FLOW, "maf"], "weights": [0.6, 0.4], "max_epochs": 3}, X),
    "random state": ({"random_state": np.random.RandomState(0)}, X),
}


@pytest.mark.parametrize("case", CASES)
def test_loaded_it_answers_with_the_same_bits(tmp_path, case):
    settings, data = CASES[case]
    mixture = moved(**{"max_epochs": 8, **settings}).fit(data)
    save(mixture, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert isinstance(loaded, FlowMixture)
    assert (loaded.score_samples(data) == mixture.score_samples(data)).all()
    for method in ("exact", "network", None):
        same = loaded.predict_proba(data, method=method) == mixture.predict_proba(
            data, method=method
        )
        assert same.all()
    for own, other in zip(
        mixture.sample(50, random_state=3), loaded.sample(50, random_state=3), strict=True
    ):
        assert (own == other).all()
    assert loaded.bic(data) == mixture.bic(data)
    for name in ("n_components_", "lower_bound_", "converged_", "n_iter_", "start_"):
        assert getattr(loaded, name) == getattr(mixture, name)
    assert (loaded.weights_ == mixture.weights_).all()
    assert str(loaded.history_) == str(mixture.history_)


def test_settings_come_back(tmp_path):
    settings = {
        "posterior": {"name": "mlp", "hidden": (4, 4)},
        "weights": np.array([0.7, 0.3]),
        "max_epochs": 2,
    }
    mixture = moved(**settings, fit_options={"clip_norm": 1.0}).fit(X)
    save(mixture, tmp_path / "model")
    params = load(tmp_path / "model").get_params()
    assert params["model_options"]["posterior"]["hidden"] == [4, 4]
    assert params["model_options"]["weights"] == [0.7, 0.3]
    assert params["fit_options"] == {"clip_norm": 1.0}
    assert params["random_state"] == 0


def test_a_loaded_one_is_fitted_again_to_the_same_bits(tmp_path):
    mixture = moved(max_epochs=5).fit(X)
    save(mixture, tmp_path / "model")
    again = load(tmp_path / "model").fit(X)
    assert (again.score_samples(X) == mixture.score_samples(X)).all()


def test_a_loaded_one_goes_on_warm(tmp_path):
    mixture = moved(max_epochs=5, start="last").fit(X)
    save(mixture, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert (loaded.fit(X).score_samples(X) == mixture.fit(X).score_samples(X)).all()


def test_feature_names_are_kept(tmp_path):
    save(quick(2).fit(FRAME), tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.feature_names_in_.tolist() == ["width", "height"]
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.predict(FRAME[["height", "width"]])
    save(quick(2).fit(X), tmp_path / "plain")
    assert not hasattr(load(tmp_path / "plain"), "feature_names_in_")


def test_only_fitted_estimators_and_recipes(tmp_path):
    with pytest.raises(TypeError, match="not fitted yet: call fit before saving it"):
        save(FlowMixture(), tmp_path / "model")
    with pytest.raises(TypeError, match=r"can save fitted estimators and modules .*, got Linear"):
        save(torch.nn.Linear(2, 2), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_version_is_refused(tmp_path):
    path = tmp_path / "model"
    save(quick(2, max_epochs=0).fit(X), path)
    tree = read_archive(path, "model")
    model = tree["state"]["model"]
    unknown = {"name": "unknown", "arguments": model["recipe"]["arguments"]}
    for change in (
        {"estimator": "Other"},
        {"settings": {**tree["settings"], "unknown": 1}},
        {"state": {}},
        {"state": {**tree["state"], "preparation": {}}},
        {"state": {**tree["state"], "model": {**model, "state": {}}}},
        {"state": {**tree["state"], "model": {**model, "recipe": unknown}}},
    ):
        write_archive(path, "model", {**tree, **change})
        with pytest.raises(ModelFileError, match="does not fit this version of anabranch"):
            load(path)


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "model"
    save(quick(2, max_epochs=0).fit(X), path)
    content = path.read_bytes()
    for place in range(0, len(content), len(content) // 40):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match="model"):
            load(path)


# --- interrupted fits ---------------------------------------------------------------------------


@pytest.fixture
def interrupt(monkeypatch):
    """Ctrl-C at a step of the training of the mixture."""

    def at(step):
        steps = 0
        forward = MixtureObjective.forward

        def counting(self, batch, **given):
            nonlocal steps
            steps += self.training
            if self.training and steps == step:
                signal.raise_signal(signal.SIGINT)
            return forward(self, batch, **given)

        monkeypatch.setattr(MixtureObjective, "forward", counting)

    yield at
    monkeypatch.undo()


def facts(mixture):
    return json.dumps([mixture.history_, mixture.n_iter_, mixture.start_, mixture.lower_bound_])


RESUMED = {
    "exact": ({}, X, None),
    "variational": ({"inference": "variational"}, X, None),
    "em": ({"algorithm": "em"}, X, None),
    "labels": ({}, X, np.where(np.arange(400) < 40, LABELS, -1)),
    "levels": ({"model_options": {"levels": 8}, "batch_size": 20}, PIXELS, None),
    "several starts": ({"init_params": "random", "n_init": 3}, X, None),
    "unlike flows": ({"flow": [FLOW, "maf"], "n_init": 2}, X, None),
}


# epochs have 3 steps of 100 rows (5 of 20 with levels); steps after the 21st are of a second start
@pytest.mark.parametrize(
    ("case", "step"),
    [
        *(("exact", step) for step in (1, 2, 3, 4, 21)),
        *((case, step) for case in ("variational", "em", "labels", "levels") for step in (4, 11)),
        *(("several starts", step) for step in (11, 30, 50)),
        ("unlike flows", 30),
    ],
)
def test_an_interrupted_fit_is_resumed_to_the_same_bits(tmp_path, interrupt, case, step):
    settings, data, y = RESUMED[case]
    path = tmp_path / "run.checkpoint"
    options = {"fit_options": {"checkpoint": str(path), "min_evaluation_steps": 3}}
    settings = {"max_epochs": 7, "init_params": "kmeans", **settings, **options}
    expected = moved(**settings).fit(data, y)
    for file in tmp_path.iterdir():
        file.unlink()
    interrupt(step)
    with pytest.raises(KeyboardInterrupt):
        moved(**settings).fit(data, y)
    resumed = moved(**settings).fit(data, y, resume=True)
    assert (resumed.score_samples(data) == expected.score_samples(data)).all()
    network = [m.predict_proba(data, method="network") for m in (resumed, expected)]
    assert (network[0] == network[1]).all()
    assert facts(resumed) == facts(expected)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"random_state": 1}, r"seed was \d+, now \d+"),
        ({"learning_rate": 0.02}, "options.learning_rate was"),
        ({"init_params": "random"}, "start"),
        ({"flow": "maf"}, "flow.name was 'realnvp', now 'maf'"),
        ({"batch_size": 50}, "options.batch_size was"),
        ({"flow": {**FLOW, "activation": "tanh"}}, "flow.activation was 'silu', now 'tanh'"),
        ({"patience": None}, "learning_rate.kind was 'HoldThenDecay', now 'CosineDecay'"),
        ({"patience": 30}, "schedules.learning_rate.patience was 4, now 30"),
    ],
)
def test_a_fit_with_other_settings_is_refused(tmp_path, change, named):
    settings = {
        "init_params": "kmeans",
        "max_epochs": 1,
        "fit_options": {"checkpoint": tmp_path / "run.checkpoint"},
    }
    moved(**settings).fit(X)
    with pytest.raises(ValueError, match=f"checkpoint of another run: .*{named}"):
        moved(**{**settings, **change}).fit(X, resume=True)
    with pytest.raises(ValueError, match=r"another run: .*data was"):
        moved(**settings).fit(bent(seed=1)[0], resume=True)


def test_what_decides_a_schedule_is_named(tmp_path):
    """A rate along a cosine, and a temperature, would have been others from the first step on."""
    settings = {
        "inference": "variational",
        "patience": None,
        "max_epochs": 1,
        "fit_options": {"checkpoint": tmp_path / "run.checkpoint"},
    }
    y = np.where(np.arange(400) < 40, LABELS, -1)
    moved(**settings).fit(X, y)
    for change, named in (
        ({"max_epochs": 2}, "max_epochs was 1, now 2; "),
        ({"temperature": {"decay": 0.5}}, "temperature.decay was 0.001, now 0.5"),
        ({"semi_supervised": {"label_weight": 3.0}}, "semi_supervised.label_weight was 1.0, now 3"),
    ):
        with pytest.raises(ValueError, match=f"checkpoint of another run: {named}"):
            moved(**{**settings, **change}).fit(X, y, resume=True)


def test_a_fit_that_had_not_come_to_a_checkpoint_starts_anew(tmp_path):
    settings = {"max_epochs": 3, "fit_options": {"checkpoint": tmp_path / "run.checkpoint"}}
    resumed = moved(**settings).fit(X, resume=True)
    assert (resumed.score_samples(X) == moved(max_epochs=3).fit(X).score_samples(X)).all()


def test_blobs_do_not_need_a_checkpoint():
    data, _ = blobs()
    assert quick().fit(data, resume=True).n_components_ == 3


def test_what_was_frozen_on_a_small_table_is_frozen_after_loading(tmp_path):
    mixture = FlowMixture(2, random_state=0, max_epochs=1).fit(X[:60])
    save(mixture, tmp_path / "model")
    before = {n: p.requires_grad for n, p in mixture.model_.named_parameters()}
    after = {n: p.requires_grad for n, p in load(tmp_path / "model").model_.named_parameters()}
    assert not all(before.values())
    assert after == before
