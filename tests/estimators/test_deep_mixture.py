"""Deep clustering with a Gaussian mixture in the latent space."""

import warnings
from inspect import signature
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from anabranch import DeepMixture, load, save
from anabranch.estimators.column_warnings import ConstantColumnWarning
from anabranch.estimators.unused import UnusedSettingWarning
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
    "learning_rate": 1e6,
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("changes", [{}, NVIL])
def test_a_run_that_diverges_names_the_step_and_keeps_a_model_that_works(changes):
    X, _ = curved(60)
    settings = {"start": "random", "max_epochs": 60, "learning_rate": 1e3}
    with pytest.warns(DivergedWarning, match=r"diverged at step \d+: \d+ steps were not finite"):
        model = small(**{**settings, **changes}).fit(X)
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
    # convolutions have sizes of their own
    model = small(**{"hidden": (500, 500) if "network" in changes else (16,), **changes}).fit(X)
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


AFFINE = {"weight": 1.0, "perturbation": {"name": "affine", "image_shape": [7, 1]}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_components": 61}, "X has 60 rows, fewer than the 61 components"),
        (
            {"objective": {"samples": 1}},
            r"objective.samples must be an integer of at least 2",
        ),
        ({"objective": "em"}, "objective must be one of"),
        ({"objective": {"label_weight": 0}}, "objective.label_weight must be a positive number"),
        ({"objective": {"score_samples": 0.5}}, "objective.score_samples must be an integer of at"),
        (
            {"objective": {"name": "gumbel", "temperature": -1.0}},
            "objective.temperature must be a positive number, got -1.0",
        ),
        (
            {"objective": {"name": "nvil", "baseline": [0]}},
            "objective.baseline must be positive integers",
        ),
        ({"objective": {"reparameterized": 1}}, "objective.reparameterized must be True or False"),
        ({"model_options": {"likelihood": "poisson"}}, "model_options.likelihood must be one of"),
        ({"model_options": {"posterior": "exact"}}, "model_options.posterior must be one of"),
        (
            {"model_options": {"depth": 3}},
            "model_options has no 'depth': it takes likeli",
        ),
        ({"model_options": {"reg_covar": 0}}, "model_options.reg_covar must be a positive number"),
        ({"start": "kmeans"}, "start.name must be one of .*, got 'kmeans'"),
        ({"start": {"epochs": 1.5}}, "start.epochs must be an integer of at least 0, got 1.5"),
        ({"start": np.zeros(59, int)}, "start must be .*: y has 59 entries for 60 rows"),
        ({"start": np.full(60, -1)}, "start must give every row a component"),
        (
            {"start": {"name": "random", "clusters": np.zeros(60, int)}},
            "clusters go with name='autoencoder', got 'random'",
        ),
        ({"hidden": ()}, "hidden must be positive integers"),
        ({"latent": 0}, "latent must be an integer of at least 1"),
        ({"schedule": {"std_first": "big"}}, "schedule.std_first must be 'auto', None or a number"),
        ({"schedule": {"std_first": 1e-3}}, "std_first must be at least std_last=0.01"),
        ({"schedule": {"std_first": True}}, "schedule.std_first must be a positive number"),
        ({"schedule": {"std_last": 0.0}}, "schedule.std_last must be a positive number, got 0.0"),
        ({"schedule": {"std_share": 0.0}}, "schedule.std_share must be in"),
        (
            {"schedule": {"rate_halvings": -1}},
            "schedule.rate_halvings must be an integer of",
        ),
        ({"schedule": {"half_precision": 1}}, "schedule.half_precision must be True or False"),
        ({"schedule": 0.5}, "schedule must be a dict with some of std_first, .*, got 0.5"),
        ({"consistency": {"balance": 1.0}}, "consistency.balance goes with a weight"),
        ({"consistency": {"perturbation": "noise"}}, "consistency.perturbation goes with a weight"),
        ({"validation_fraction": 1.0}, "validation_fraction must be in"),
        ({"model_options": BITS}, r"values in \[0, 1\], got -"),
        ({"levels": 256}, "levels=256 needs integers"),
        ({"consistency": {"inference": "exact"}}, "consistency.inference must be one of"),
        (
            {"start": "invariant", "consistency": {"balance": 0.0}},
            "start='invariant' needs consistency.weight and consistency.balance",
        ),
        (
            {"consistency": {"inference": "invariant", "weight": 0.0}},
            "consistency.inference='invariant' needs consistency.weight",
        ),
        ({"consistency": {"steps": 0}}, "consistency.steps must be an integer of at least 1"),
        (
            {"consistency": {"weight": -1.0}},
            "consistency.weight must be a number not below",
        ),
        ({"network": {"name": "conv", "image_shape": [2, 4]}}, "8 pixels, but a row has 6"),
        (
            {"model_options": {"classifier": {"name": "conv", "image_shape": [2, 4]}}},
            "8 pixels, but a row has 6",
        ),
        ({"consistency": AFFINE}, r"image_shape \(7, 1\) holds 7 values, but rows have 6"),
        (
            {"consistency": {"weight": 1.0, "perturbation": "affine"}},
            "perturbation 'affine' needs image_shape",
        ),
        ({"network": "transformer"}, "network must be one of"),
        ({"model_options": {"prior": "cauchy"}}, "cauchy"),
        ({"n_components": 0}, "n_components must be an integer of at least 1"),
        ({"n_components": True}, "n_components must be an integer of at least 1"),
        ({"n_init": 1.0}, "n_init must be an integer of at least 1, got 1.0"),
        ({"fit_options": {"keep": "first"}}, "keep must be one of .*, got 'first'"),
        ({"learning_rate": "auto"}, "learning_rate must be a positive number, got 'auto'"),
        ({"learning_rate": np.nan}, "learning_rate must be a positive number, got nan"),
        ({"max_epochs": 1.5}, "max_epochs must be an integer of at least 0, got 1.5"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"batch_size": 2.5}, "batch_size must be an integer of at least 1, got 2.5"),
        ({"hidden": 8}, "hidden must be positive integers, at least one, got 8"),
        ({"device": "gpu"}, "device must be one that torch can compute on here"),
        ({"verbose": "x"}, "verbose must be an integer of at least 0, got 'x'"),
        ({"fit_options": [1]}, r"fit_options must be a dict or None, got \[1\]"),
        ({"fit_options": {"speed": 1}}, "fit_options has no 'speed'"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    X, _ = curved(60)
    hidden = (500, 500) if isinstance(changes.get("network"), dict) else (16,)
    with pytest.raises(ValueError, match=message):
        small(**{"hidden": hidden, **changes}).fit(X)


def test_a_keyword_that_a_bound_does_not_have_is_refused():
    with pytest.raises(TypeError, match="objective 'iwae' takes samples; got 'temperature'"):
        small(objective={"name": "iwae", "temperature": 1.0}).fit(curved(60)[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"objective": {"label_weight": 2.0}},
            "objective.label_weight is not used: there are",
        ),
        (
            {"consistency": {"weight": 1.0, "steps": 5}},
            "consistency.steps is not used: start is 'autoencoder'",
        ),
        (
            {"start": {"name": "random", "epochs": 5}},
            "start.epochs is not used: start is 'rand",
        ),
        (
            {"network": {"name": "conv", "image_shape": [2, 3], "channels": [2]}},
            "hidden is not used: network is 'conv'",
        ),
        (
            {"schedule": {"std_first": None, "std_share": 0.5}},
            "schedule.std_share is not used: std_first is None",
        ),
    ],
)
def test_settings_that_a_fit_does_not_use_are_told(changes, message):
    with pytest.warns(UnusedSettingWarning, match=message):
        small(**{"start": {"epochs": 1}, **changes, "max_epochs": 1}).fit(curved(60)[0])


# -- groups, starts and stages ---------------------------------------------------------------------


def test_there_are_at_most_twenty_settings():
    assert len(signature(DeepMixture).parameters) <= 20


def test_old_names_are_taken_with_a_warning():
    X, _ = curved(60)
    old = {"init_epochs": 1, "init_params": "autoencoder", "std_first": 0.5, "rate_halvings": 1}
    old |= {"objective": "vimco", "samples": 3, "n_score_samples": 7, "weight_decay": 0.1}
    old |= {"consistency": 0.5, "perturbation": "noise", "activation": "tanh", "reg_covar": 1e-5}
    settings = {"latent": 2, "hidden": (16,), "max_epochs": 1, "random_state": 0}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = DeepMixture(3, **settings, **old)
    told = [str(warning.message) for warning in caught]
    assert "std_first=0.5 is now schedule={'std_first': 0.5}: the old" in " ".join(told)
    again = small(
        start={"name": "autoencoder", "epochs": 1},
        schedule={"std_first": 0.5, "rate_halvings": 1},
        objective={"name": "vimco", "samples": 3, "score_samples": 7},
        consistency={"weight": 0.5, "perturbation": "noise"},
        model_options={"activation": "tanh", "reg_covar": 1e-5},
        fit_options={"weight_decay": 0.1},
        max_epochs=1,
    )
    assert model.get_params() == again.get_params()
    assert (model.fit(X).score_samples(X) == again.fit(X).score_samples(X)).all()
    with pytest.warns(FutureWarning, match="n_score_samples=9 is now objective"):
        model.set_params(n_score_samples=9)
    assert model.objective == {"name": "vimco", "samples": 3, "score_samples": 9}


def test_a_weight_alone_is_a_consistency():
    with pytest.warns(FutureWarning, match=r"consistency={'weight': 0.5}"):
        model = small(1, consistency=0.5, max_epochs=1).fit(curved(60)[0])
    same = small(1, consistency={"weight": 0.5}, max_epochs=1).fit(curved(60)[0])
    assert model.lower_bound_ == same.lower_bound_


def test_groups_are_searched_like_other_settings():
    X, _ = curved(60)
    grid = {"schedule__std_last": [1e-3, 0.5], "objective__samples": [2]}
    search = GridSearchCV(small(1, max_epochs=2), grid, cv=2).fit(X)
    assert search.best_params_ == {"schedule__std_last": 0.5, "objective__samples": 2}
    assert search.best_estimator_.model_.floor == 0.5


@pytest.mark.parametrize("kind", ["labels", "probabilities", "estimator"])
def test_clusters_that_are_known_are_a_start(kind):
    X, labels = curved()
    swapped = np.array([2, 0, 1])[labels]
    given = {
        "labels": swapped,
        "probabilities": np.eye(3)[swapped],
        "estimator": FrozenEstimator(GaussianMixture(3, means_init=means(X, swapped)).fit(X)),
    }[kind]
    model = small(start={"clusters": given, "epochs": 20}, max_epochs=5).fit(X)
    assert (model.start_labels_ == swapped[model.train_rows_]).mean() > 0.9
    assert (model.predict(X) == swapped).mean() > 0.9
    if kind != "estimator":
        assert small(2, start=given, n_components=None, max_epochs=1).fit(X).n_components_ == 3


def means(X, labels):
    return np.stack([X[labels == k].mean(0) for k in range(3)])


def test_the_last_state_is_kept_where_that_is_asked():
    X, _ = curved(60)
    # far too fast, so that the best state is long past
    settings = {"learning_rate": 0.2, "max_epochs": 30, "schedule": {"rate_halvings": 0}}
    best, last = (
        small(1, fit_options={"keep": keep}, **settings).fit(X) for keep in ("best", "last")
    )
    losses = [entry["validation_loss"] for entry in last.history_]
    assert losses == [entry["validation_loss"] for entry in best.history_]
    assert losses[-1] > min(losses)
    assert best.lower_bound_ - last.lower_bound_ == pytest.approx(losses[-1] - min(losses))
    assert (best.score_samples(X) != last.score_samples(X)).any()


def test_stages_are_named():
    X, labels = curved(60)
    of_one = ["pretrain", "teach q", "train"]
    assert small(1, max_epochs=1, n_init=2).fit(X).fit_result_.stages == 2 * of_one
    assert small(start="random", max_epochs=1).fit(X).fit_result_.stages == ["train"]
    found = invariant(1, max_epochs=1, n_init=2).fit(X).fit_result_.stages
    assert found == ["learn q alone", "learn q alone", "pretrain", "train"]
    given = small(max_epochs=1, start={"clusters": labels, "epochs": 1}).fit(X)
    assert given.fit_result_.stages == of_one


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
