"""DeepClustering by MIXAE and GM-GAN, which need no autoencoder to start from."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

from anabranch import DeepClustering, load, save
from anabranch.metrics import clustering_accuracy

SIZES = {"mixae": 2 * 3, "gmgan": 16}
METHOD = pytest.mark.parametrize("method", SIZES)


def small(method, **changes):
    settings = {"latent": 3, "hidden": (32, 16), "max_epochs": 20, "random_state": 0}
    if method != "gmgan":
        settings["pretrain__epochs"] = 0
    return DeepClustering(2, method=method).set_params(**{**settings, **changes})


def blobs(n=300):
    random = np.random.RandomState(0)
    labels = random.randint(2, size=n)
    return 4.0 * labels[:, None] + random.randn(n, 5), labels


@METHOD
def test_groups_are_found(method):
    X, labels = blobs()
    model = small(method, max_epochs=100, method_options__learning_rate=5e-3).fit(X)
    assert clustering_accuracy(labels, model.labels_) > 0.95
    assert (model.predict(X[::-1]) == model.labels_[::-1]).all()


@METHOD
def test_what_comes_out_and_files_keep_it(method, tmp_path):
    X, _ = blobs(100)
    model, again = (small(method).fit(X) for _ in range(2))
    P = model.predict_proba(X)
    assert (again.predict_proba(X) == P).all()
    assert model.start_labels_ is model.mixture_ is None
    assert list(model.fit_results_) == ["clusters"]
    assert model.n_iter_ == 20
    assert model.transform(X).shape == (100, SIZES[method])
    assert len(model.get_feature_names_out()) == SIZES[method]
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert (loaded.predict_proba(X) == P).all()
    assert (loaded.transform(X) == model.transform(X)).all()


@METHOD
def test_integers_are_shares(method):
    X = np.random.RandomState(0).randint(8, size=(100, 5))
    model = small(method, levels=8).fit(X)
    assert model.model_.recipe["arguments"]["likelihood"] == "bernoulli"
    assert np.isfinite(model.predict_proba(X)).all()


def test_keywords_of_the_recipe():
    X, _ = blobs(100)
    model = small("gmgan", model_options={"dynamic": True}).fit(X)
    assert model.model_.gaussians.shape is not None
    assert model.model_.sample(4, component=1).shape == (4, 5)


def test_autoencoders_start_from_k_means_on_the_codes_of_one():
    X, labels = blobs()
    model = small("mixae", pretrain__epochs=40, max_epochs=2).fit(X)
    assert list(model.fit_results_) == ["autoencoder", "clusters"]
    assert clustering_accuracy(labels, model.start_labels_) > 0.95
    assert clustering_accuracy(model.start_labels_, model.labels_) > 0.95
    # in the same numbers, for the autoencoders began as those clusters
    assert (model.start_labels_ == model.labels_).mean() > 0.95


def test_that_autoencoder_may_be_given_and_have_other_sizes():
    X, labels = blobs()
    first = small("ae+gmm", pretrain__epochs=40).fit(X)
    options = {"hidden": (8,), "latent": 1}
    model = small("mixae", start=first, model_options=options).set_params(pretrain=None).fit(X)
    assert clustering_accuracy(labels, model.labels_) > 0.95
    assert model.transform(X).shape == (300, 2)


@pytest.mark.slow
def test_digits_are_no_worse_than_k_means_on_the_codes_of_one_autoencoder():
    X, labels = load_digits(return_X_y=True)
    given = {"levels": 17, "hidden": (128, 64)}
    options = {"hidden": (100,), "latent": 4}
    start, end = [], []
    for seed in (100, 101, 102):
        first = DeepClustering(10, method="ae+gmm", **given, random_state=seed).fit(X)
        found = KMeans(10, n_init=20, random_state=seed).fit_predict(first.transform(X))
        start.append(clustering_accuracy(labels, found))
        settings = {"start": first, "model_options": options, "max_epochs": 50}
        model = DeepClustering(10, method="mixae", **given, **settings, random_state=seed).fit(X)
        end.append(clustering_accuracy(labels, model.labels_))
    assert np.mean(end) >= np.mean(start) - 0.03
