"""Deep clustering with a Gaussian mixture in the latent space."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from anabranch import DeepMixture, load, save
from anabranch.estimators.checks import ConstantColumnWarning
from anabranch.metrics import clustering_accuracy
from anabranch.reports import build_report
from anabranch.training import DivergedWarning


def small(epochs=10, **changes) -> Any:
    """A small one, with so many epochs of the autoencoder where it starts with one."""
    start = {"name": "autoencoder", "epochs": epochs}
    settings = {"latent": 2, "hidden": (16,), "max_epochs": 3, "start": start}
    return DeepMixture(**{"n_components": 3, **settings, "random_state": 0, **changes})


def curved(n=300, seed=0):
    """Three clusters of the plane, bent into six dimensions."""
    random = np.random.RandomState(seed)
    labels = np.arange(n) % 3
    z = 3.0 * np.array([[-1, -1], [1, -1], [0, 1.5]])[labels] + 0.5 * random.randn(n, 2)
    W = np.random.RandomState(7).randn(2, 6)
    return np.tanh(z @ W / 4) + 0.02 * random.randn(n, 6), labels


FEW = {"name": "vimco", "score_samples": 5}


@parametrize_with_checks([small(1, n_components=None, max_epochs=1, objective=FEW)])
@pytest.mark.filterwarnings("ignore:y has labels up to")
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def fitted():
    X, labels = curved()
    return small(40, max_epochs=20).fit(X), X, labels


def test_clusters_are_found(fitted):
    model, X, labels = fitted
    assert clustering_accuracy(labels, model.predict(X)) > 0.98
    assert clustering_accuracy(labels[model.train_rows_], model.start_labels_) > 0.9
    assert model.predict_proba(X).sum(1) == pytest.approx(np.ones(300))
    assert model.converged_
    assert model.n_iter_ == 20


def test_latent_means_are_apart(fitted):
    model, X, labels = fitted
    Z = model.transform(X)
    assert Z.shape == (300, 2)
    assert model.get_feature_names_out().tolist() == ["deepmixture0", "deepmixture1"]
    within = np.mean([Z[labels == k].std(0) for k in range(3)])
    assert Z.std(0).mean() > 1.5 * within


def test_the_bound_is_annealed_and_the_rate_halved(fitted):
    history = fitted[0].history_
    bounds = [entry["std_bound"] for entry in history[1:]]  # the first is of the start
    assert bounds == sorted(bounds, reverse=True)
    assert 0.04 < bounds[0] < np.sqrt(6 / 784) < 0.1
    assert bounds[-1] == 0.01
    assert history[-1]["learning_rate"] <= 1e-3 / 8
    assert fitted[0].model_.floor <= np.sqrt(6 / 784) * 1.001


def test_samples_carry_their_cluster(fitted):
    model, X, _ = fitted
    draws, labels = model.sample(600)
    assert (model.predict(draws) == labels).mean() > 0.8
    assert np.abs(draws.mean(0) - X.mean(0)).max() < 0.2
    own, twos = model.sample(20, component=2)
    assert own.shape == (20, 6)
    assert (twos == 2).all()
    assert (model.sample(5)[0] == model.sample(5)[0]).all()


def test_scores_are_in_the_units_of_the_data_and_rise_with_the_draws(fitted):
    model, X, _ = fitted
    scores = []
    for n in (5, 500):
        model.set_params(objective__score_samples=n)
        scores.append(model.score(X))
    assert scores[0] < scores[1]
    larger = small(40, max_epochs=20).fit(10 * X)
    larger.set_params(objective__score_samples=500)
    assert larger.score(10 * X) == pytest.approx(scores[1] - 6 * np.log(10), abs=1e-2)
    assert model.score_samples(X[:9]) == pytest.approx(model.score_samples(X)[:9], abs=1e-4)


def test_a_report_can_be_made_of_it(fitted):
    model, X, labels = fitted
    model.set_params(objective__score_samples=5)
    html = build_report(model, X[:60], labels[:60])
    assert "DeepMixture" in html
    assert model.weights_ == pytest.approx(np.full(3, 1 / 3))


def test_a_few_labels_name_the_clusters():
    X, labels = curved()
    y = np.full(300, -1)
    y[:3] = labels[:3]
    model = small(40, max_epochs=5).fit(X, y)
    assert (model.predict(X) == labels).mean() > 0.98
    assert small(1, n_components=None, max_epochs=1).fit(X, y).n_components_ == 3


@pytest.mark.parametrize("objective", ["enumerate", "iwae", "nvil", "gumbel"])
def test_every_objective_fits(objective):
    X, _ = curved(60)
    model = small(objective=objective, max_epochs=2, start="random").fit(X)
    assert model.start_labels_ is None
    assert np.isfinite(model.score(X))


def test_integer_images_are_spread_over_their_levels():
    X, _ = curved(120)
    X = np.clip((X + 1.2) * 100, 0, 255).round()
    model = small(2, levels=256).fit(X)
    z, term = model.preparation_.encode(X)
    assert ((z >= 0) & (z <= 1)).all()
    assert term.numpy() == pytest.approx(np.full(120, -6 * np.log(256)))
    draws = model.sample(50)[0]
    assert (draws == draws.round()).all()
    assert draws.min() >= 0
    assert draws.max() <= 255
    with pytest.raises(ValueError, match=r"levels=256 needs integers 0\.\.255, got 0\.5"):
        model.predict(np.full((1, 6), 0.5))


BITS = {"likelihood": "bernoulli"}


def test_bits_are_taken_as_they_are():
    X = (curved(120)[0] > 0).astype(float)
    model = small(model_options=BITS, levels=2, start="random").fit(X)
    assert set(np.unique(model.sample(50)[0])) <= {0.0, 1.0}
    every = np.array(np.meshgrid(*[[0.0, 1.0]] * 6)).reshape(6, -1).T
    model.set_params(objective__score_samples=10_000)
    assert np.exp(model.score_samples(every)).sum() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("changes", [{}, {"levels": 256}, {"model_options": BITS}])
def test_a_file_gives_it_back(tmp_path, changes):
    X, _ = curved(60)
    if changes:
        X = np.clip((X + 1.2) * 100, 0, 255).round()
        X = X if "levels" in changes else X / 255
    model = small(1, max_epochs=1, **changes).fit(X)
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    assert (again.score_samples(X) == model.score_samples(X)).all()
    assert (again.transform(X) == model.transform(X)).all()
    assert (again.start_labels_ == model.start_labels_).all()
    assert again.get_params()["latent"] == 2
    assert (again.sample(5, random_state=1)[0] == model.sample(5, random_state=1)[0]).all()


def test_the_same_seed_gives_the_same_bits():
    X, _ = curved(90)
    first, second, other = (small(random_state=s, n_init=2).fit(X) for s in (3, 3, 4))
    assert (first.score_samples(X) == second.score_samples(X)).all()
    assert (first.score_samples(X) != other.score_samples(X)).any()
    before = torch.get_rng_state()
    small(random_state=3).fit(X)
    assert torch.equal(torch.get_rng_state(), before)


def test_constant_columns_are_told_and_given_a_variance():
    X, _ = curved(60)
    X[:, 2] = 4.0
    with pytest.warns(ConstantColumnWarning, match="x2"):
        model = small(1).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    assert model.sample(20)[0][:, 2] == pytest.approx(np.full(20, 4.0), abs=3)


NVIL = {
    "objective": "nvil",
    "schedule": {"std_first": None},
    "fit_options": {"clip_norm": None},
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("changes", [{}, NVIL])
def test_a_run_that_diverges_names_the_step_and_keeps_a_model_that_works(changes):
    X, _ = curved(60)
    settings = {"start": "random", "max_epochs": 60, "learning_rate": 1e3}
    with pytest.warns(DivergedWarning, match=r"diverged at step \d+: \d+ steps were not finite"):
        model = small(**settings, **changes).fit(X)
    assert not model.converged_
    assert model.n_iter_ < 60
    assert np.isfinite(model.predict_proba(X)).all()
    assert np.isfinite(model.score_samples(X)).all()
    assert -model.fit_result_.best_score >= -model.history_[0]["validation_loss"]


def invariant(epochs=10, *, inference=None, **changes):
    """One that starts from a q(y|x) that has learned by itself."""
    consistency = {"perturbation": {"name": "noise", "scale": 0.5}, "steps": 300}
    return small(
        start={"name": "invariant", "epochs": epochs},
        model_options={"classifier": {"name": "mlp", "hidden": [32]}},
        consistency={**consistency, "inference": inference},
        **changes,
    )


@pytest.mark.parametrize("inference", [None, "variational"])
def test_a_start_from_consistency_finds_the_clusters_and_keeps_them(inference):
    X, labels = curved()
    model = invariant(40, inference=inference, max_epochs=20).fit(X)
    assert clustering_accuracy(labels[model.train_rows_], model.start_labels_) > 0.98
    assert clustering_accuracy(labels, model.predict(X)) > 0.98
    assert clustering_accuracy(labels, model.predict(X, method="exact")) > 0.98
    draws, origins = model.sample(300)
    assert (model.predict(draws) == origins).mean() > 0.8


def test_labels_name_the_clusters_of_consistency():
    X, labels = curved()
    y = np.full(300, -1)
    y[:3] = labels[:3]
    assert (invariant().fit(X, y).predict(X) == labels).mean() > 0.98


def test_the_probabilities_of_the_model_are_those_of_its_scores(fitted):
    model, X, _ = fitted
    with pytest.raises(ValueError, match="method must be one of"):
        model.predict_proba(X, method="importance")
    model.set_params(objective__score_samples=300)
    p = model.predict_proba(X, method="exact")
    assert p.sum(1) == pytest.approx(np.ones(300))
    assert (p.argmax(1) == model.predict(X)).mean() > 0.97
    again = model.predict_proba(X[5:9], method="exact")
    assert again == pytest.approx(p[5:9], abs=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": {"name": "conv", "image_shape": [2, 3], "channels": [4], "hidden": [8]}},
        {"model_options": {"prior": {"name": "realnvp", "n_layers": 2, "hidden": [8]}}},
        {"schedule": {"half_precision": True}},
    ],
)
def test_networks_priors_and_precisions_pass_through_a_file(tmp_path, changes):
    X, _ = curved(120)
    model = small(**changes).fit(X)
    assert model.converged_
    assert np.isfinite(model.sample(20)[0]).all()
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    assert (again.score_samples(X) == model.score_samples(X)).all()
    assert (again.predict_proba(X) == model.predict_proba(X)).all()
    assert (again.sample(5, random_state=1)[0] == model.sample(5, random_state=1)[0]).all()


@pytest.mark.parametrize("half", [True, False])
def test_half_precision_starts_and_ends_in_float32(half):
    model = small(schedule={"half_precision": half}, max_epochs=40).fit(curved(120)[0])
    used = [bool(entry.get("half_precision", 0.0)) for entry in model.history_]
    assert used == [False, *[half] * (len(used) - 2), False]
    assert len(used) > 4


def test_the_bound_is_in_the_units_of_the_data(tmp_path):
    X, _ = curved(120)
    model, wide = small().fit(X), small().fit(1024.0 * X)  # the same numbers, once standardised
    assert wide.lower_bound_ == pytest.approx(model.lower_bound_ - 6 * np.log(1024), abs=1e-4)
    shares, levels = np.abs(X).clip(0, 0.99), 8
    spread = small(levels=levels).fit(np.floor(levels * shares))
    inside = -spread.fit_result_.best_score
    assert spread.lower_bound_ == pytest.approx(inside - 6 * np.log(levels))
    save(model, tmp_path / "model")
    assert load(tmp_path / "model").lower_bound_ == model.lower_bound_


def test_images_with_constant_pixels_are_fitted():
    X, _ = curved(120)
    X = np.clip((X + 1.2) * 100, 0, 255).round()
    X[:, 0], X[:, 3] = 0, 255
    model = small(40, levels=256, max_epochs=10).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    draws = model.sample(200)[0]
    assert draws[:, 3].mean() > draws[:, 0].mean() + 60


@pytest.mark.parametrize("changes", [{}, {"levels": 256}, {"model_options": BITS}])
def test_rows_that_are_all_the_same_are_refused(changes):
    with pytest.raises(ValueError, match="all 54 rows of X are the same: there is nothing to clus"):
        small(**changes).fit(np.ones((60, 6)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_components": 61}, "X has 60 rows, fewer than the 61 components"),
        ({"samples": 1}, "samples must be an integer of at least 2, got 1"),
        ({"objective": "em"}, "objective must be one of"),
        ({"likelihood": "poisson"}, "likelihood must be one of"),
        ({"posterior": "exact"}, "posterior must be one of"),
        ({"init_params": "kmeans"}, "init_params must be one of"),
        ({"hidden": ()}, "hidden must be positive integers"),
        ({"latent": 0}, "latent must be an integer of at least 1"),
        ({"std_first": "big"}, "std_first must be 'auto', None or a number"),
        ({"std_first": 1e-3}, "std_first must be at least std_last=0.01"),
        ({"std_last": 0.0}, "std_last must be a positive number, got 0.0"),
        ({"balance": 1.0}, "balance goes with consistency"),
        ({"validation_fraction": 1.0}, "validation_fraction must be in"),
        ({"likelihood": "bernoulli"}, r"values in \[0, 1\], got -"),
        ({"levels": 256}, "levels=256 needs integers"),
        ({"inference": "exact"}, "inference must be one of"),
        ({"init_params": "invariant", "balance": 0.0}, "init_params='invariant' needs consistency"),
        ({"inference": "invariant", "consistency": 0.0}, "inference='invariant' needs consistency"),
        ({"invariant_steps": 0}, "invariant_steps must be an integer of at least 1"),
        ({"consistency": -1.0}, "consistency must be a number not below zero or None, got -1"),
        ({"network": {"name": "conv", "image_shape": [2, 4]}}, "8 pixels, but a row has 6"),
        ({"classifier": {"name": "conv", "image_shape": [2, 4]}}, "8 pixels, but a row has 6"),
        (
            {"consistency": 1.0, "perturbation": {"name": "affine", "image_shape": [7, 1]}},
            r"image_shape \(7, 1\) holds 7 values, but rows have 6",
        ),
        ({"consistency": 1.0, "perturbation": "affine"}, "perturbation 'affine' needs image_shape"),
        ({"network": "transformer"}, "network must be one of"),
        ({"prior": "cauchy"}, "cauchy"),
        ({"n_components": 0}, "n_components must be an integer of at least 1"),
        ({"learning_rate": "auto"}, "learning_rate must be a positive number, got 'auto'"),
        ({"max_epochs": 1.5}, "max_epochs must be an integer of at least 0, got 1.5"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"hidden": 8}, "hidden must be positive integers, at least one, got 8"),
        ({"fit_options": [1]}, r"fit_options must be a dict or None, got \[1\]"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    X, _ = curved(60)
    with pytest.raises(ValueError, match=message):
        small(**changes).fit(X)


def test_gaps_are_refused_with_their_place():
    X, _ = curved(60)
    X[3, 1], X[5, 1] = np.inf, np.nan
    message = r"1 of 6 columns: 'x1' \(1 NaN, 1 infinite\), first in row 3"
    with pytest.raises(ValueError, match=message):
        small().fit(X)


@pytest.mark.parametrize("value", [256.0, -1.0, 3.5])
def test_bytes_out_of_range_are_refused_with_their_place(value):
    X = np.random.RandomState(0).randint(256, size=(60, 6)).astype(float)
    X[7, 2] = value
    with pytest.raises(ValueError, match=rf"0\.\.255, got {value:g} in column 'x2', row 7"):
        small(levels=256).fit(X)
