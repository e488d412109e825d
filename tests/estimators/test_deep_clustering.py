"""DeepClustering: what is known about the data comes out, and the contract is kept."""

import json
import pickle
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.frozen import FrozenEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks
from typer.testing import CliRunner

from anabranch import DeepClustering, load, save
from anabranch.cli.app import app
from anabranch.estimators.unused import UnusedSettingWarning
from anabranch.metrics import clustering_accuracy
from anabranch.procedures.clustering_methods import METHODS
from tests.estimators.data import folded, picture


def small(n_components=4, method="idec", **changes):
    """One with small networks; settings of groups by short names, where the method has them."""
    settings = {"latent": 2, "hidden": (32,), "pretrain_epochs": 5, "max_epochs": 3, "n_init": 2}
    model = DeepClustering(n_components, method=method)
    known = {field.name for field in fields(METHODS[method].options)} if method in METHODS else {}
    for name, value in {**settings, "random_state": 0, **changes}.items():
        group, _, key = DeepClustering.old_names.get(name, name).partition("__")
        if group != "method_options" or not key or key in known:
            model.set_params(**{f"{group}__{key}" if key else group: value})
    return model


# whose codes have another size: see test_deep_others.py
OTHERS = ("mixae", "gmgan")
METHOD = pytest.mark.parametrize("method", [name for name in METHODS if name not in OTHERS])


# the checks give labels to whatever is fitted
@pytest.mark.filterwarnings("ignore:y is not used")
@parametrize_with_checks([small(2, hidden=(8,)), small(2, hidden=(8,), method="vade")])
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("ltvae", *OTHERS)])
def test_clusters_behind_a_random_network_are_found(method):
    X, labels, z = folded()
    model = small(
        method=method,
        hidden=(64, 64),
        pretrain_epochs=100,
        max_epochs=40,
        refresh=20,
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
    assert (model.mixture_ is not None) == method.endswith("+gmm")
    assert list(model.fit_results_) == ["autoencoder", "clusters"][: 1 + (model.mixture_ is None)]
    assert not hasattr(model, "score_samples")
    np.testing.assert_allclose(model.predict_proba(X[:7]), P[:7], atol=1e-5)


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "ltvae" else [])
        for name in METHODS
        if name not in OTHERS
    ],
)
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


# -- one autoencoder for several methods ----------------------------------------------------------


def states(model):
    return {name: value.numpy() for name, value in model.model_.state_dict().items()}


@pytest.mark.parametrize("levels", [None, 8])
@pytest.mark.parametrize("method", ["ae+gmm", "dec", "idec", "vade", "gmvae", "ltvae-gmm"])
def test_a_given_autoencoder_is_bit_for_bit_what_pretraining_gives(method, levels, tmp_path):
    X = folded(200)[0] if levels is None else picture()[0]
    first = small(method="ae+gmm", levels=levels).fit(X)
    before = states(first)
    trained = small(method=method, levels=levels).fit(X)
    given = small(method=method, levels=levels, start=first).fit(X)
    assert (given.predict_proba(X) == trained.predict_proba(X)).all()
    assert (given.start_labels_ == trained.start_labels_).all()
    found, expected = states(given), states(trained)
    assert found.keys() == expected.keys()
    assert all((found[name] == expected[name]).all() for name in expected)
    assert all((before[name] == value).all() for name, value in states(first).items())
    assert given.fit_results_["autoencoder"] is not first.fit_results_["autoencoder"]
    save(given, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.start is None
    assert (loaded.predict_proba(X) == given.predict_proba(X)).all()


def test_a_given_autoencoder_serves_other_rows_seeds_and_clusters():
    X, _, _ = folded(300)
    first = small(2, method="vae+gmm").fit(X[:200])
    model = small(3, method="vae+gmm", start=first, random_state=5).fit(3 * X[100:] + 1)
    assert (model.transform(X) == first.transform(X)).all()
    assert model.predict_proba(X).shape == (300, 3)


def test_a_frozen_autoencoder_outlives_clone():
    X, _, _ = folded(200)
    first = small(method="ae+gmm").fit(X)
    frozen = FrozenEstimator(first)
    model = small(method="vade", start=frozen)
    assert model.get_params(deep=False)["start"] is frozen
    expected = small(method="vade", start=first).fit(X).labels_
    assert (clone(model).fit(X).labels_ == expected).all()
    with pytest.raises(ValueError, match=r"not fitted; clone\(\) takes fits away"):
        clone(small(method="vade", start=first)).fit(X)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent": 3}, "the model given as start has latent=2, wanted is 3"),
        ({"hidden": (32, 32)}, r"has hidden=\[32\], wanted is \[32, 32\]"),
        ({"model_options": {"activation": "tanh"}}, "has activation=None, wanted is 'tanh'"),
        ({"method": "vae+gmm"}, "'vae\\+gmm' starts from .* 'vae', but .* by method='ae\\+gmm'"),
        (
            {"method": "gmgan", "pretrain": None},
            "method='gmgan' starts from no autoencoder, but got one",
        ),
        ({"levels": 8}, "the model given as start has levels=None, this has 8"),
        ({"start": "ae+gmm"}, r"start must be a fitted DeepClustering, labels .*, got 'ae\+gmm'"),
        ({"start": FrozenEstimator(KMeans())}, "a fitted DeepClustering, .* or None, got Frozen"),
    ],
)
def test_an_autoencoder_that_does_not_fit(changes, message):
    X = np.random.RandomState(0).randint(0, 8, (100, 4)).astype(float)
    first = small(method="ae+gmm", pretrain_epochs=1).fit(X)
    with pytest.raises(ValueError, match=message):
        small(**{"method": "vade", "start": first, **changes}).fit(X)


def test_an_autoencoder_of_other_columns():
    X, _, _ = folded(100, features=3)
    first = small(method="ae+gmm", pretrain_epochs=1).fit(X)
    with pytest.raises(ValueError, match="given as start has n_features_in_=3, this has 2"):
        small(start=first).fit(X[:, :2])


def test_options_of_the_recipe():
    X, _, _ = folded(100)
    options = {"hidden_prior": [7], "activation": "tanh"}
    model = small(method="gmvae", model_options=options).fit(X)
    assert options.items() <= model.model_.recipe["arguments"].items()
    with pytest.raises(TypeError, match="recipe 'dec' has no keyword 'hidden_prior'"):
        small(method="dec", model_options={"hidden_prior": [7]}).fit(X)
    with pytest.raises(TypeError, match="recipe 'autoencoder' has no keyword 'hidden_prior'"):
        small(method="ae+gmm", model_options={"hidden_prior": [7]}).fit(X)
    with pytest.raises(ValueError, match=r"model_options must be a dict or None, got \[\]"):
        small(model_options=[]).fit(X)


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
    keywords = {
        "method": "dec",
        "clustering_rate": 1e-3,
        "pretrain_epochs": 50,
        "tol": 0.0,
    }
    start, end = (small(**keywords, max_epochs=epochs).fit(X) for epochs in (0, 30))
    assert (start.labels_ == start.start_labels_).all()
    assert end.predict_proba(X).max(1).mean() > start.predict_proba(X).max(1).mean() + 0.05
    errors = [m.fit_results_["clusters"].history[-1].get("train_loss") for m in (start, end)]
    assert np.isnan(errors[0])
    assert np.isfinite(errors[1])


def test_gmvae_from_nothing():
    X, labels, _ = folded(400)
    model = small(method="gmvae", hidden=(32,), pretrain_epochs=0, max_epochs=80).fit(X)
    assert model.start_labels_ is None
    assert list(model.fit_results_) == ["clusters"]
    assert clustering_accuracy(labels, model.labels_) > 0.7


def test_four_corners_are_two_clusterings():
    random = np.random.RandomState(0)
    states = random.randint(2, size=(400, 2))
    X = (5 * states + random.randn(400, 2)) @ random.randn(2, 6) + 0.1 * random.randn(400, 6)
    model = small(
        2, method="ltvae", hidden=(16,), pretrain_epochs=80, max_epochs=6, learning_rate=5e-3
    ).fit(X)
    facets = model.predict_facets(X)
    for known in states.T:
        assert max(clustering_accuracy(known, own) for own in facets.T) > 0.9
    assert (facets[:, int(model.model_.facet)] == model.predict(X)).all()
    with pytest.raises(ValueError, match="method='idec' finds one clustering only"):
        small(pretrain_epochs=1, max_epochs=1).fit(X).predict_facets(X)


def test_a_search_needs_two_clusters():
    with pytest.raises(ValueError, match="n_components must be at least 2 for a search, got 1"):
        small(1, method="ltvae").fit(folded(100)[0])


def test_integers_are_shares_of_the_highest_level():
    X, labels = picture()
    for method in METHODS.keys() - set(OTHERS):
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
        ({"n_components": 0}, "n_components must be an integer of at least 1, got 0"),
        ({"n_components": 101}, "X has 100 rows, fewer than the 101 components"),
        ({"latent": 2.5}, "latent must be an integer of at least 1, got 2.5"),
        ({"hidden": (8, 0)}, r"hidden must be positive integers, at least one, got \(8, 0\)"),
        (
            {"likelihood": "poisson"},
            r"model_options.likelihood must be one of .* or None, got 'poisson'",
        ),
        (
            {"likelihood": "bernoulli"},
            r"model_options.likelihood='bernoulli' needs shares in \[0, 1\]",
        ),
        ({"levels": 1}, "levels must be an integer above 1 or None, got 1"),
        ({"levels": 4}, r"levels=4 needs integers 0\.\.3"),
        (
            {"reconstruction": 0.0},
            "method_options.reconstruction must be a positive number, got 0.0",
        ),
        (
            {"clustering_rate": -1.0},
            "method_options.learning_rate must be a positive number, got -1.0",
        ),
        ({"tol": -1.0}, "tol must be a number not below zero, got -1.0"),
        ({"validation_fraction": 1.0}, r"validation_fraction must be in \(0, 1\), got 1.0"),
        ({"corruption": 1.0}, r"pretrain.corruption must be in \[0, 1\), got 1.0"),
        (
            {"refresh": 0},
            "method_options.refresh must be an integer of at least 1, got 0",
        ),
        ({"tol": "small"}, "tol must be a number not below zero, got 'small'"),
        (
            {"alpha": None},
            "method_options.alpha must be a positive number, got None",
        ),
        ({"learning_rate": "auto"}, "learning_rate must be a positive number, got 'auto'"),
        ({"corruption": None}, r"pretrain.corruption must be in \[0, 1\), got None"),
        ({"max_epochs": 1.5}, "max_epochs must be an integer of at least 0, got 1.5"),
        ({"hidden": 8}, "hidden must be positive integers, at least one, got 8"),
        ({"batch_size": True}, "batch_size must be an integer of at least 1, got True"),
        ({"patience": -1}, "patience must be an integer of at least 0 or None, got -1"),
        ({"device": "gpu"}, "device must be one that torch can compute on here, .* got 'gpu'"),
        ({"verbose": "x"}, "verbose must be an integer of at least 0, got 'x'"),
        (
            {"fit_options": {"keep": "first"}},
            r"keep must be one of \('best', 'last'\), got 'first'",
        ),
        ({"pretrain": {"rate": 1}}, "pretrain has no 'rate': it takes epochs, corruption"),
        ({"pretrain": 5}, "pretrain must be a dict with some of epochs, corruption, or None"),
        ({"method_options": {"speed": 1}}, "method_options has no 'speed': it takes .*refresh"),
        ({"fit_options": [1]}, r"fit_options must be a dict or None, got \[1\]"),
        ({"model_options": "fast"}, "model_options must be a dict or None, got 'fast'"),
        (
            {"model_options": {"features": 9}},
            "model_options cannot set 'features', which fit tells",
        ),
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
    with pytest.raises(ValueError, match=r"column 'x0' holds 1e\+200, too far from the rows"):
        small().fit(X).predict(np.array([[1e200, 0.0, 0.0]]))


GRID = np.random.RandomState(0).randint(0, 8, (60, 4)).astype(float)


def with_value(value):
    X = GRID.copy()
    X[3, 1] = value
    return X


def barely(**changes):
    return small(3, hidden=(8,), pretrain_epochs=1, max_epochs=1, **changes)


@pytest.mark.parametrize("levels", [None, 8])
@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            with_value(np.nan),
            r"X holds NaN or infinity in 1 of 4 columns: 'x1' \(1 NaN\), .* row 3",
        ),
        (with_value(-np.inf), r"in 1 of 4 columns: 'x1' \(1 infinite\), first in row 3"),
        (GRID[:, 0], "Expected 2D array, got 1D array instead"),
        (GRID[:, :, None], "Found array with dim 3, .* required by DeepClustering"),
        (GRID[:0], r"Found array with 0 sample\(s\) .* required by DeepClustering"),
    ],
)
def test_rows_that_are_none_are_refused_wherever_they_are_given(X, message, levels):
    with pytest.raises(ValueError, match=message):
        barely(levels=levels).fit(X)
    model = barely(levels=levels).fit(GRID)
    for use in (model.predict, model.predict_proba, model.transform, model.predict_facets):
        with pytest.raises(ValueError, match=message):
            use(X)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (8.0, r"levels=8 needs integers 0\.\.7, got 8 in column 'x1', row 3"),
        (-1.0, r"levels=8 needs integers 0\.\.7, got -1 in column 'x1', row 3"),
        (2.5, r"levels=8 needs integers 0\.\.7, got 2\.5 in column 'x1', row 3"),
    ],
)
def test_values_that_are_no_levels(value, message):
    model = barely(levels=8).fit(GRID)
    for use in (barely(levels=8).fit, model.predict, model.transform):
        with pytest.raises(ValueError, match=message):
            use(with_value(value))


def test_rows_of_another_width():
    model = barely().fit(GRID)
    for other, n in ((GRID[:, :3], 3), (np.hstack([GRID, GRID]), 8)):
        for use in (model.predict, model.transform):
            with pytest.raises(ValueError, match=rf"X has {n} features, .* expecting 4 features"):
                use(other)


@METHOD
@pytest.mark.parametrize("levels", [None, 8])
def test_rows_that_are_all_the_same(method, levels):
    with pytest.raises(ValueError, match="no column of X varies: there is nothing to cluster"):
        barely(method=method, levels=levels).fit(np.ones((60, 4)))


# -- starts from clusters --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["dec", "idec", "vade", "gmvae", "mixae"])
def test_given_clusters_are_the_start(method):
    """Of halves that nothing in the rows tells of."""
    X, _, _ = folded(200)
    labels = np.arange(200) % 2
    model = small(2, method=method, start=labels, max_epochs=0).fit(X)
    assert (model.start_labels_ == labels).all()
    soft = np.eye(2)[labels] * 0.6 + 0.2
    again = small(2, method=method, start=soft, max_epochs=0).fit(X)
    assert (again.start_labels_ == labels).all()


def test_centres_and_moments_are_those_of_the_given_clusters():
    X, labels, _ = folded(200)
    labels = labels % 2
    model = small(2, method="dec", start=labels, max_epochs=0).fit(X)
    codes = model.transform(X)
    means = np.array([codes[labels == k].mean(0) for k in (0, 1)])
    np.testing.assert_allclose(model.model_.centers.detach(), means, atol=1e-5)
    model = small(2, method="vade", start=labels, max_epochs=0).fit(X)
    np.testing.assert_allclose(model.model_.loc[:, 0].detach(), means, atol=1e-5)
    shares = np.bincount(labels) / 200
    np.testing.assert_allclose(model.model_.logits[:, 0].exp().detach(), shares, atol=1e-6)


def test_files_do_not_keep_the_clusters_of_the_start(tmp_path):
    X, labels, _ = folded(100)
    save(small(4, start=labels).fit(X), tmp_path / "model")
    assert load(tmp_path / "model").start is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": [0, 1]}, "start must be .*: y has 2 entries for 100 rows of X"),
        ({"start": [2] * 100}, r"start must be .*: labels must be 0\.\.1 .*, got 2"),
        ({"start": [0] * 100}, "start gives component 1 no rows"),
        ({"start": np.full((100, 2), 0.7)}, "start must be .*: rows .* must be probabilities"),
        ({"start": np.zeros((100, 3))}, "start must be .*: y has 3 columns for 2 components"),
        ({"start": 3}, "start must be a fitted DeepClustering, labels .*, got 3"),
        (
            {"start": [0, 1] * 50, "method": "ae+gmm"},
            r"method='ae\+gmm' starts from no clusters, but got some",
        ),
    ],
)
def test_clusters_that_cannot_be_a_start(changes, message):
    with pytest.raises(ValueError, match=message):
        small(2, **changes).fit(folded(100)[0])


# -- settings that are not used, and old names ----------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"method": "vade", "method_options": {"refresh": 3}},
            "method_options.refresh is not used",
        ),
        (
            {"method": "gmgan", "hidden": (8,)},
            "pretrain is not used: method='gmgan' starts from no",
        ),
        ({"method": "vae+gmm", "corruption": 0.1}, "pretrain.corruption is not used"),
        ({"method": "ae+gmm", "fit_options": {"keep": "last"}}, "fit_options.keep is not used"),
    ],
)
def test_settings_that_the_method_does_not_use(changes, message):
    X, _, _ = folded(60)
    with pytest.warns(UnusedSettingWarning, match=message):
        small(2, max_epochs=1, **changes).fit(X)


def test_labels_are_not_used():
    X, labels, _ = folded(60)
    with pytest.warns(UnusedSettingWarning, match="learns from no labels"):
        small(2).fit(X, labels)


def test_names_of_yesterday():
    X, _, _ = folded(100)
    with pytest.warns(FutureWarning) as caught:
        old = DeepClustering(2, latent=2, hidden=(8,), pretrain_epochs=3, max_epochs=2, tol=0.1)
    assert [str(one.message).split(":")[0] for one in caught] == [
        "pretrain_epochs=3 is now pretrain={'epochs'",
        "tol=0.1 is now method_options={'tol'",
    ]
    groups = {"pretrain": {"epochs": 3}, "method_options": {"tol": 0.1}}
    new = DeepClustering(2, latent=2, hidden=(8,), max_epochs=2, **groups)
    assert old.get_params() == new.get_params()
    with pytest.warns(FutureWarning, match="clustering_rate=0.01 is now method_options="):
        new.set_params(clustering_rate=0.01)
    assert new.method_options == {"tol": 0.1, "learning_rate": 0.01}
    with pytest.warns(FutureWarning, match=r"model_options=.'information': 0.5. is now method_opt"):
        moved = small(2, method="gmvae", model_options={"information": 0.5}).fit(X)
    same = small(2, method="gmvae", method_options={"n_init": 2, "information": 0.5}).fit(X)
    assert (moved.predict_proba(X) == same.predict_proba(X)).all()
