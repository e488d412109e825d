"""DeepClustering: what is known about the data comes out, and the contract is kept."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.utils.estimator_checks import parametrize_with_checks
from typer.testing import CliRunner

from anabranch import DeepClustering, load, save
from anabranch.cli.app import app
from anabranch.estimators.deep_trainer import METHODS
from anabranch.metrics import clustering_accuracy
from tests.estimators.data import picture

CORNERS = 2.5 * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])


def folded(n=600, features=20, seed=0):
    """Four round clusters in the plane, pushed through a random network; and the plane's."""
    random = np.random.RandomState(seed)
    labels = np.arange(n) % 4
    z = CORNERS[labels] + random.randn(n, 2)
    hidden = np.tanh(0.5 * z @ random.randn(2, 32) / np.sqrt(2) + random.randn(32))
    X = hidden @ random.randn(32, features) / np.sqrt(32)
    return X + 0.02 * random.randn(n, features), labels, z


def small(n_components=4, **changes):
    settings = {"latent": 2, "hidden": (32,), "pretrain_epochs": 5, "max_epochs": 3, "n_init": 2}
    return DeepClustering(n_components, **{**settings, "random_state": 0, **changes})


METHOD = pytest.mark.parametrize("method", METHODS)


@parametrize_with_checks([small(2, hidden=(8,)), small(2, hidden=(8,), method="vade")])
def test_check_estimator(estimator, check):
    check(estimator)


@METHOD
def test_clusters_behind_a_random_network_are_found(method):
    X, labels, z = folded()
    model = small(
        method=method, hidden=(64, 64), pretrain_epochs=100, max_epochs=40, refresh=20
    ).fit(X)
    known = KMeans(4, n_init=10, random_state=0).fit_predict(z)
    reached = clustering_accuracy(labels, model.predict(X))
    assert reached >= clustering_accuracy(labels, known) - 0.04
    assert reached >= clustering_accuracy(labels, model.start_labels_) - 0.01
    fresh, labels, _ = folded()  # the same network
    assert clustering_accuracy(labels, model.predict(fresh[::-1])[::-1]) == reached


@METHOD
def test_what_comes_out(method):
    X, _, _ = folded(200)
    model = small(method=method).fit(X)
    P, codes = model.predict_proba(X), model.transform(X)
    assert P.shape == (200, 4)
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-6)
    assert codes.shape == (200, 2)
    assert P.dtype == codes.dtype == np.float64
    assert (P.argmax(axis=1) == model.predict(X)).all()
    assert (model.labels_ == model.predict(X)).all()
    assert model.start_labels_.shape == (200,)
    assert (model.mixture_ is not None) == method.endswith("gmm")
    assert list(model.fit_results_) == ["autoencoder", "clusters"][: 1 + (model.mixture_ is None)]
    assert not hasattr(model, "score_samples")
    np.testing.assert_allclose(model.predict_proba(X[:7]), P[:7], atol=1e-5)


@METHOD
def test_a_seed_decides_everything_and_files_keep_it(tmp_path, method):
    X, _, _ = folded(200)
    model, again = (small(method=method).fit(X) for _ in range(2))
    expected = model.predict_proba(X)
    assert (again.predict_proba(X) == expected).all()
    assert (small(method=method, random_state=1).fit(X).predict_proba(X) != expected).any()
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert (loaded.predict_proba(X) == expected).all()
    assert (loaded.transform(X) == model.transform(X)).all()
    settings = {**model.get_params(), "hidden": [32]}
    assert loaded.get_params() == settings
    assert loaded.fit_results_["autoencoder"].steps == model.fit_results_["autoencoder"].steps
    assert (pickle.loads(pickle.dumps(model)).predict_proba(X) == expected).all()
    clone(loaded).fit(X)


def test_the_command_line_tells_what_a_file_holds(tmp_path):
    path = str(tmp_path / "model")
    save(small().fit(folded(100)[0]), path)
    result = CliRunner().invoke(app, ["info", path, "--json"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.output)
    assert (facts["estimator"], facts["recipe"], facts["components"]) == (
        "DeepClustering",
        "dec",
        4,
    )
    refused = CliRunner().invoke(app, ["score", path, path, "--output", path + ".csv"])
    assert refused.exit_code != 0
    assert "DeepClustering" in refused.output


def test_self_training_makes_clusters_certain():
    X, _, _ = folded()
    keywords = {"method": "dec", "clustering_rate": 1e-3, "pretrain_epochs": 50, "tol": 0.0}
    start, end = (small(**keywords, max_epochs=epochs).fit(X) for epochs in (0, 30))
    assert (start.labels_ == start.start_labels_).all()
    assert end.predict_proba(X).max(1).mean() > start.predict_proba(X).max(1).mean() + 0.05
    errors = [m.fit_results_["clusters"].history[-1].get("train_loss") for m in (start, end)]
    assert np.isnan(errors[0])
    assert np.isfinite(errors[1])


def test_integers_are_shares_of_the_highest_level():
    X, labels = picture()
    for method in METHODS:
        model = small(2, method=method, levels=8, pretrain_epochs=40, hidden=(16,)).fit(X)
        assert clustering_accuracy(labels, model.predict(X)) > 0.95
        assert model.model_.recipe["arguments"]["likelihood"] == "bernoulli"
        other = small(2, method=method, levels=8, likelihood="gaussian").fit(X)
        assert other.model_.recipe["arguments"]["likelihood"] == "gaussian"
    with pytest.raises(ValueError, match=r"levels=8 needs integers 0\.\.7, got 8 in column 'x1'"):
        model.predict(np.array([[0.0, 8.0, 1.0, 1.0]]))


def test_frames_in_and_names_out():
    X, _, _ = folded(100, features=3)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = small().fit(frame)
    assert (model.predict(frame) == small().fit(X).labels_).all()
    out = model.set_output(transform="pandas").transform(frame)
    assert list(out.columns) == ["deepclustering0", "deepclustering1"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["b", "a", "c"]])


@METHOD
def test_a_constant_column_changes_nothing_that_matters(method):
    X, _, _ = folded(100, features=3)
    X[:, 1] = 7.0
    model = small(method=method, pretrain_epochs=30).fit(X)
    assert np.isfinite(model.predict_proba(X)).all()
    assert (model.preparation_.encode(X)[0][:, 1] == 0).all()


def test_a_run_that_fails_says_so():
    X, _, _ = folded(200)
    with pytest.warns(UserWarning, match=r"all rows were in one cluster"):
        model = small(method="vade", clustering_rate=1e6, fit_options={"clip_norm": None}).fit(X)
    assert model.fit_results_["clusters"].stopped == "collapsed"
    assert len(np.unique(model.labels_)) > 1
    with pytest.raises(
        ValueError, match=r"100 rows only 3 distinct codes, fewer than n_components=4"
    ):
        small().fit(np.repeat(np.eye(3), [30, 30, 40], axis=0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "k-means"}, r"method must be one of \('ae\+gmm', .*, got 'k-means'"),
        ({"n_components": 0}, "n_components must be a positive integer, got 0"),
        ({"n_components": 101}, "X has 100 rows, fewer than the 101 components"),
        ({"latent": 2.5}, "latent must be a positive integer, got 2.5"),
        ({"hidden": (8, 0)}, r"hidden must be positive integers, got \(8, 0\)"),
        ({"likelihood": "poisson"}, r"likelihood must be one of .* or None, got 'poisson'"),
        ({"likelihood": "bernoulli"}, r"likelihood='bernoulli' needs shares in \[0, 1\]"),
        ({"levels": 1}, "levels must be an integer above 1 or None, got 1"),
        ({"levels": 4}, r"levels=4 needs integers 0\.\.3"),
        ({"reconstruction": 0.0}, "reconstruction must be a positive number, got 0.0"),
        ({"clustering_rate": -1.0}, "clustering_rate must be a positive number, got -1.0"),
        ({"tol": -1.0}, "tol must be a number not below zero, got -1.0"),
        ({"validation_fraction": 1.0}, r"validation_fraction must be in \(0, 1\), got 1.0"),
        ({"corruption": 1.0}, r"corruption must be in \[0, 1\), got 1.0"),
        ({"refresh": 0}, "refresh must be a positive integer, got 0"),
    ],
)
def test_settings_that_cannot_be_meant(changes, message):
    X, _, _ = folded(100)
    with pytest.raises(ValueError, match=message):
        small(**changes).fit(X)


def test_data_that_cannot_be_used():
    X, _, _ = folded(100, features=3)
    bad = X.copy()
    bad[3, 1] = np.nan
    with pytest.raises(ValueError, match="x1"):
        small().fit(bad)
    with pytest.raises(ValueError, match="no column of X varies"):
        small().fit(np.ones((50, 3)))
    with pytest.raises(ValueError, match=r"column 'x0' holds 1e\+200, too far from the rows"):
        small().fit(X).predict(np.array([[1e200, 0.0, 0.0]]))
