"""The comparison of convolutions with MLPs, in small."""

from types import SimpleNamespace

import numpy as np
import pytest

from anabranch.experiments import Run, convolutional, list_experiments

SMALL = {
    "model_options": {
        "posterior": {"name": "conv", "image_shape": [4, 4], "channels": [2], "hidden": [8]}
    },
    "flow": {"name": "conv_realnvp", "image_shape": [4, 4], "n_layers": 2, "channels": 2},
}


def images(n, seed):
    """Rows of 4 x 4 bytes with one bright row or column of pixels, five kinds."""
    random_state = np.random.RandomState(seed)
    y = random_state.randint(5, size=n)
    X = random_state.randint(60, size=(n, 4, 4))
    for i, kind in enumerate(y):
        X[i, kind % 4 if kind < 3 else slice(None), kind % 4 if kind > 2 else slice(None)] += 190
    return X.reshape(n, 16).astype(np.float64), y


def test_a_row_is_what_its_fields_say(monkeypatch):
    monkeypatch.setattr(convolutional, "BUDGETS", {"cpu": (0.0, 300)})
    monkeypatch.setattr(convolutional, "VARIANTS", {"small": SMALL})
    monkeypatch.setattr(convolutional, "_some", lambda X, *_: X)
    row = convolutional.found(3, "small", images(300, 0)[0], images(200, 1), "cpu")
    assert (row.variant, row.seed, row.epochs) == ("small", 3, 1)
    assert row.acc_q > 0.9
    assert row.acc_p > 0.9
    assert 4 < row.bits_per_dim < 8, "uniform bytes need eight bits"
    assert row.s > 0


@pytest.mark.parametrize(("seconds", "epochs"), [(0, 1), (30, 1), (100, 5)])
def test_epochs_that_can_be_afforded(monkeypatch, seconds, epochs):
    """A trial of two epochs of 100 of 200 rows in twenty seconds: twenty for an epoch of all."""
    fitted = []

    class Trial:
        fit_result_ = SimpleNamespace(seconds=20.0)

        def __init__(self, n_components, **settings):
            assert settings == {"max_epochs": 2, "levels": 4}

        def fit(self, X):
            fitted.append(len(X))
            return self

    monkeypatch.setattr(convolutional, "FlowMixture", Trial)
    monkeypatch.setattr(convolutional, "TRIAL_ROWS", 100)
    monkeypatch.setattr(convolutional, "TRIAL_EPOCHS", 2)
    X = np.zeros((200, 2))
    assert convolutional.affordable_epochs({"levels": 4}, X, seconds) == epochs
    assert fitted == [100]


def test_figures_are_means_over_seeds_and_have_no_target(monkeypatch):
    monkeypatch.setattr(convolutional, "BUDGETS", {"cpu": (0.0, 200)})
    monkeypatch.setattr(convolutional, "VARIANTS", {"a": {}, "b": {}})
    monkeypatch.setattr(convolutional, "images", lambda run, *which: images(300, 0))
    found = iter([[0.8, 0.7, 2.0, 3, 9.0], [0.6, 0.9, 4.0, 5, 7.0], *[[0.5] * 5] * 2])
    one = lambda seed, name, *_: convolutional.Found(name, seed, *next(found))  # noqa: E731
    monkeypatch.setattr(convolutional, "found", one)
    outcome = convolutional.vmonf_convolutional(Run((0, 1)))
    figures = {figure.name: figure.value for figure in outcome.figures}
    assert figures["a: ACC q(c|x)"] == pytest.approx(0.7)
    assert figures["a: bits/dim"] == pytest.approx(3.0)
    assert figures["b: s"] == pytest.approx(0.5)
    assert figures["k-means on pixels: ACC q(c|x)"] > 0.9
    assert all(figure.target is None for figure in outcome.figures)
    assert len(outcome.table.splitlines()) == 7
    assert outcome.settings["rows"] == 200


def test_it_is_registered():
    assert list_experiments()["vmonf-convolutional"].needs_data
