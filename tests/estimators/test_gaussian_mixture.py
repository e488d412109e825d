"""GaussianMixture against scikit-learn's and against known mixtures."""

import warnings
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnMixture
from sklearn.utils.estimator_checks import parametrize_with_checks

from anabranch import GaussianMixture, load, save
from anabranch.estimators import gaussian_runs
from anabranch.estimators.column_warnings import ConstantColumnWarning
from anabranch.problems import GaussianMixtureProblem
from tests.estimators.data import blobs

KINDS = ("full", "tied", "diag", "spherical")
PROBLEM = GaussianMixtureProblem()
X, LABELS = PROBLEM.sample(1500, random_state=100)
FEW = np.where(np.arange(len(X)) < 60, LABELS, -1)


@pytest.mark.filterwarnings("ignore:y has labels up to", "ignore:y has the 2 classes")
@parametrize_with_checks([GaussianMixture()])
def test_check_estimator(estimator, check):
    check(estimator)


def start(kind, seed=0):
    random = np.random.RandomState(seed)
    root = random.randn(3, 2, 2)
    full = root @ root.transpose(0, 2, 1) + np.eye(2)
    shapes = {
        "full": full,
        "tied": full[0],
        "diag": full.diagonal(axis1=1, axis2=2),
        "spherical": full[:, 0, 0],
    }
    return {
        "weights_init": random.dirichlet(np.full(3, 5.0)),
        "means_init": X[random.choice(len(X), 3, replace=False)],
        "precisions_init": shapes[kind],
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tol", [1e-2, 1e-5])
def test_the_same_start_ends_where_scikit_learn_ends(kind, tol):
    settings = {"covariance_type": kind, "tol": tol, "max_iter": 300, **start(kind)}
    ours, theirs = GaussianMixture(3, **settings).fit(X), SklearnMixture(3, **settings).fit(X)
    assert ours.n_iter_ == theirs.n_iter_ > 2
    for name in ("weights_", "means_", "covariances_", "lower_bound_"):
        assert np.shape(getattr(ours, name)) == np.shape(getattr(theirs, name))
        assert np.abs(getattr(ours, name) - getattr(theirs, name)).max() < 1e-6
    assert np.abs(ours.score_samples(X) - theirs.score_samples(X)).max() < 1e-6
    assert np.abs(ours.predict_proba(X) - theirs.predict_proba(X)).max() < 1e-6
    assert (ours.predict(X) == theirs.predict(X)).all()
    assert ours.bic(X) == pytest.approx(theirs.bic(X), abs=1e-4)
    assert ours.aic(X) == pytest.approx(theirs.aic(X), abs=1e-4)
    assert ours.mdl(X) == ours.bic(X) / 2


PRIOR = {"weight_concentration_prior": 3.0, "covariance_prior": 20.0}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prior", [{}, PRIOR], ids=["ml", "map"])
@pytest.mark.parametrize("y", [None, FEW], ids=["no labels", "few labels"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_objective_never_falls(kind, prior, y):
    mixture = GaussianMixture(
        3,
        covariance_type=kind,
        init_params="random_from_data",
        tol=0.0,
        max_iter=60,
        random_state=1,
        **prior,
    ).fit(X, y)
    assert len(mixture.lower_bounds_) > 5
    assert np.diff(mixture.lower_bounds_).min() > -1e-9
    gained = 1e-5 if y is FEW else 0.01  # labels start it close to its end
    assert mixture.lower_bounds_[-1] > mixture.lower_bounds_[0] + gained


def test_a_known_mixture_is_found():
    many, _ = PROBLEM.sample(10_000, random_state=100)
    mixture = GaussianMixture(3, random_state=0, tol=1e-6, max_iter=500).fit(many)
    order = [((mixture.means_ - mean) ** 2).sum(1).argmin() for mean in PROBLEM.means]
    assert np.abs(mixture.weights_[order] - PROBLEM.weights).max() < 0.02
    assert np.abs(mixture.means_[order] - PROBLEM.means).max() < 0.1
    assert np.abs(mixture.covariances_[order] - PROBLEM.covariances).max() < 0.15


def test_an_empty_component_is_restarted():
    data, labels = blobs(300)
    lost = np.array([[0.0, 0.0], [3.0, 3.5], [1e4, 1e4]])
    mixture = GaussianMixture(3, means_init=lost, precisions_init=np.tile(np.eye(2), (3, 1, 1)))
    mixture.set_params(weights_init=np.full(3, 1 / 3)).fit(data)
    assert np.abs(mixture.weights_ - 1 / 3).max() < 0.01
    predicted = mixture.predict(data)
    assert all(len(set(predicted[labels == k])) == 1 for k in range(3))


def test_more_components_than_different_rows():
    data = np.repeat([[0.0, 0.0], [1.0, 1.0]], 20, axis=0)
    mixture = GaussianMixture(3, random_state=0).fit(data)
    assert np.isfinite(mixture.score_samples(data)).all()
    assert mixture.weights_.sum() == pytest.approx(1)


# --- labels -------------------------------------------------------------------------------------


def overlapping(n=2000, seed=100):
    """Two Gaussians in a cross, whose cluster means tell nothing."""
    random = np.random.RandomState(seed)
    labels = random.randint(2, size=n)
    scales = np.array([[3.0, 0.3], [0.3, 3.0]])[labels]
    return random.randn(n, 2) * scales, labels


def test_labelled_rows_name_their_components():
    mixture = GaussianMixture(3, random_state=0).fit(X, FEW)
    assert (mixture.predict(X) == LABELS).mean() > 0.95
    assert np.abs(mixture.means_ - PROBLEM.means).max() < 0.4


def test_labelled_rows_keep_their_responsibilities():
    data, labels = overlapping()
    wrong = np.full(len(data), -1)
    wrong[:1000] = 1 - labels[:1000]
    mixture = GaussianMixture(2, random_state=0, max_iter=1, tol=0.0)
    with pytest.warns(ConvergenceWarning, match="did not converge.* max_iter=1"):
        mixture.fit(data[:1000], wrong[:1000])
    # all rows are labelled, so that one step gives the classes' own moments
    for k in (0, 1):
        own = data[:1000][wrong[:1000] == k]
        assert np.allclose(mixture.means_[k], own.mean(0))
        assert np.allclose(mixture.covariances_[k], np.cov(own.T, bias=True) + 1e-6 * np.eye(2))


def test_soft_labels_are_labels():
    hard = GaussianMixture(3, random_state=0).fit(X, FEW)
    targets = np.zeros((len(X), 3))
    targets[np.arange(60), LABELS[:60]] = 1
    same = GaussianMixture(3, random_state=0).fit(X, targets)
    assert (same.means_ == hard.means_).all()
    targets[:60] = 0.8 * targets[:60] + 0.2 / 3
    soft = GaussianMixture(3, random_state=0).fit(X, targets)
    assert 1e-4 < np.abs(soft.means_ - hard.means_).max() < 0.5


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random_from_data", "random"])
def test_labels_of_some_classes(init_params):
    y = np.where((np.arange(len(X)) < 200) & (LABELS == 2), 2, -1)
    mixture = GaussianMixture(3, init_params=init_params, n_init=3, random_state=0).fit(X, y)
    assert np.abs(mixture.means_[2] - PROBLEM.means[2]).max() < 0.4


def test_as_many_components_as_classes():
    assert GaussianMixture(random_state=0).fit(X, FEW).n_components_ == 3
    assert GaussianMixture(random_state=0).fit(X).n_components_ == 1


# --- priors -------------------------------------------------------------------------------------


def test_a_strong_dirichlet_prior_evens_the_weights():
    free = GaussianMixture(3, random_state=0).fit(X)
    even = GaussianMixture(3, random_state=0, weight_concentration_prior=1e5).fit(X)
    assert free.weights_.max() > 0.5
    assert np.abs(even.weights_ - 1 / 3).max() < 0.01


def test_a_covariance_prior_bounds_few_rows():
    """Five rows in eight columns have no covariance of their own."""
    data = np.random.RandomState(0).randn(5, 8)
    prior = {"covariance_prior": 10.0, "degrees_of_freedom_prior": 9.0}
    bounded = GaussianMixture(1, reg_covar=0.0, **prior).fit(data)
    assert np.linalg.eigvalsh(bounded.covariances_[0]).min() >= 10 / (9 + 9 + 5) - 1e-9
    with pytest.raises(ValueError, match="a covariance of 5 rows in 1 components is singular"):
        GaussianMixture(1, reg_covar=0.0).fit(data)


# --- annihilation -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_four_of_twelve_are_left(kind):
    corners = np.array([[0, 0], [6, 0], [0, 6], [6, 6]])[np.arange(800) % 4]
    data = corners + np.random.RandomState(100).randn(800, 2)
    mixture = GaussianMixture("auto", covariance_type=kind, max_components=12, random_state=100)
    mixture.fit(data)
    assert mixture.n_components_ == 4
    assert np.abs(mixture.weights_ - 0.25).max() < 0.02
    assert mixture.mdl(data) == pytest.approx(mixture.description_lengths_[4], abs=1e-6)
    assert min(mixture.description_lengths_.values()) == mixture.description_lengths_[4]
    assert mixture.transform(data).shape == (800, 4)


def test_never_more_components_than_rows():
    assert GaussianMixture("auto", random_state=0).fit(X[:10]).n_components_ <= 10


# --- using --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_of_the_density(kind):
    mixture = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    drawn, labels = mixture.sample(20_000, random_state=1)
    assert np.abs(np.bincount(labels) / 20_000 - mixture.weights_).max() < 0.015
    assert drawn.mean(0) == pytest.approx(mixture.weights_ @ mixture.means_, abs=0.08)
    covariance = mixture.parameters_.covariances[1]
    only, one = mixture.sample(20_000, component=1, random_state=1)
    assert (one == 1).all()
    assert np.abs(np.cov(only.T) - covariance).max() < 0.12
    density = multivariate_normal(mixture.means_[1], covariance)
    assert density.logpdf(only).mean() == pytest.approx(-density.entropy(), abs=0.03)
    again = mixture.sample(20_000, component=1, random_state=1)[0]
    assert (only == again).all()


def test_the_best_of_several_starts_is_kept():
    runs = [
        GaussianMixture(
            4, init_params="random_from_data", random_state=s, tol=1e-4, max_iter=500
        ).fit(X)
        for s in range(4)
    ]
    random = np.random.RandomState(0)
    shared = GaussianMixture(
        4, init_params="random_from_data", random_state=random, n_init=8, tol=1e-4, max_iter=500
    ).fit(X)
    assert shared.lower_bound_ >= runs[0].lower_bound_
    assert shared.lower_bound_ > min(run.lower_bound_ for run in runs)


def test_a_warm_start_goes_on():
    mixture = GaussianMixture(3, random_state=0, max_iter=3, tol=0.0, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        first = mixture.fit(X).lower_bounds_
        second = mixture.fit(X).lower_bounds_
        straight = GaussianMixture(3, random_state=0, max_iter=6, tol=0.0).fit(X)
    assert np.allclose(first + second, straight.lower_bounds_, atol=1e-12)
    with pytest.raises(ValueError, match=r"has 3 full components in 2 columns, now 2 full in 2"):
        mixture.set_params(n_components=2).fit(X)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_beyond_double_precision_belong_to_the_widest(kind):
    """Along a ray, p(k|x) has a limit: the component of the largest variance in its direction."""
    mixture = GaussianMixture(2, covariance_type=kind, max_iter=0, weights_init=[0.5, 0.5])
    mixture.set_params(means_init=[[1.0, 0.0], [-1.0, 0.0]])
    wide = {"full": np.diag([1.0, 4.0]), "diag": [1.0, 4.0], "spherical": 1.0}
    narrow = {"full": np.diag([2.0, 0.5]), "diag": [2.0, 0.5], "spherical": 2.0}
    precisions = [narrow[kind], wide[kind]] if kind != "tied" else np.eye(2)
    mixture.set_params(precisions_init=precisions).fit(X)
    far = np.array([[1e200, 0.0], [0.0, -1e300], [0.0, 0.0]])
    score = mixture.score_samples(far)
    assert np.isneginf(score[:2]).all()
    assert np.isfinite(score[2])
    proba = mixture.predict_proba(far)
    assert np.allclose(proba.sum(1), 1)
    expected = {"full": [1, 0], "diag": [1, 0], "spherical": [1, 1]}
    if kind == "tied":  # means alone tell them apart
        assert proba == pytest.approx(np.array([[1, 0], [0.5, 0.5], [0.5, 0.5]]))
    else:
        assert mixture.predict(far)[:2].tolist() == expected[kind]


def test_without_a_step_the_start_is_kept(tmp_path):
    means = [[20.0, 30.0], [30.0, 25.0]]
    mixture = GaussianMixture(2, means_init=means, max_iter=0).fit(X)
    save(mixture, tmp_path / "model")
    assert (load(tmp_path / "model").means_ == means).all()
    assert (mixture.lower_bound_, mixture.lower_bounds_, mixture.n_iter_) == (-np.inf, [], 0)


def test_rows_in_single_precision_get_answers_in_it(tmp_path):
    single = X.astype(np.float32)
    mixture = GaussianMixture(3, random_state=0).fit(single)
    names = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
    assert {getattr(mixture, name).dtype.name for name in names} == {"float32"}
    assert mixture.predict_proba(single).dtype == mixture.score_samples(single).dtype == np.float32
    assert mixture.predict_proba(X).dtype == np.float64
    assert GaussianMixture(3, random_state=0).fit(X).predict_proba(single).dtype == np.float64
    frame = pd.DataFrame(single, columns=["a", "b"])
    assert GaussianMixture(3, random_state=0).fit(frame).means_.dtype == np.float32
    save(mixture, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.means_.dtype == np.float32
    assert (loaded.score_samples(single) == mixture.score_samples(single)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_precisions_have_their_factors(kind):
    mixture = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    upper, precisions = mixture.precisions_cholesky_, mixture.precisions_
    if kind in ("diag", "spherical"):
        assert np.allclose(upper**2, precisions)
        assert np.allclose(precisions * mixture.covariances_, 1)
    else:
        assert np.allclose(upper @ np.swapaxes(upper, -1, -2), precisions)
        assert np.allclose(np.tril(upper, -1), 0)
        assert np.allclose(precisions @ mixture.covariances_, np.eye(2))


def test_random_responsibilities_begin_in_the_middle():
    drawn = GaussianMixture(3, init_params="random", random_state=0, max_iter=0).fit(X)
    assert np.abs(drawn.means_ - X.mean(0)).max() < 0.3
    assert np.abs(drawn.weights_ - 1 / 3).max() < 0.02
    rows = GaussianMixture(3, init_params="random_from_data", random_state=0, max_iter=0).fit(X)
    assert np.abs(rows.means_ - X.mean(0)).max() > 1


@pytest.mark.parametrize(("verbose", "interval"), [(1, 10), (2, 3)])
def test_progress_is_shown_where_somebody_looks_on(monkeypatch, verbose, interval):
    seen, kept = [], gaussian_runs.tqdm

    def looked_on(**settings):
        assert settings.pop("disable") is None
        bar = kept(**settings, file=StringIO())
        monkeypatch.setattr(bar, "set_postfix_str", lambda text, refresh: seen.append(text))
        return bar

    monkeypatch.setattr(gaussian_runs, "tqdm", looked_on)
    how = {"verbose": verbose, "verbose_interval": interval, "max_iter": 20, "tol": 0.0}
    with pytest.warns(ConvergenceWarning):
        GaussianMixture(3, random_state=0, **how).fit(X)
    assert len(seen) == 20 // interval
    assert all(text.startswith("objective -") for text in seen)
    assert all(("gain" in text) == (verbose > 1) for text in seen)


@pytest.mark.parametrize("kind", KINDS)
def test_loaded_it_answers_with_the_same_bits(tmp_path, kind):
    frame = pd.DataFrame(X, columns=["width", "height"])
    mixture = GaussianMixture(3, covariance_type=kind, random_state=0).fit(frame)
    save(mixture, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert isinstance(loaded, GaussianMixture)
    assert (loaded.predict_proba(frame) == mixture.predict_proba(frame)).all()
    assert (loaded.score_samples(frame) == mixture.score_samples(frame)).all()
    assert (loaded.sample(9)[0] == mixture.sample(9)[0]).all()
    assert (loaded.covariances_ == mixture.covariances_).all()
    assert loaded.get_params() == mixture.get_params()
    assert loaded.lower_bounds_ == mixture.lower_bounds_
    assert loaded.description_lengths_ == {}
    assert loaded.bic(frame) == mixture.bic(frame)
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.predict(frame[["height", "width"]])


def test_only_fitted_ones_of_ours_are_saved(tmp_path):
    with pytest.raises(TypeError, match="not fitted yet"):
        save(GaussianMixture(), tmp_path / "model")
    with pytest.raises(TypeError, match="can save fitted estimators"):
        save(SklearnMixture().fit(X), tmp_path / "model")
    auto = GaussianMixture("auto", max_components=5, random_state=0).fit(X[:300])
    save(auto, tmp_path / "model")
    assert load(tmp_path / "model").description_lengths_ == auto.description_lengths_


# --- some columns, and the others ---------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_marginals_and_conditionals_multiply_to_the_joint(kind, tmp_path):
    """p(a, b) = p(b) p(a | b), at any point, for columns in any order."""
    random = np.random.RandomState(0)
    data = np.concatenate([random.randn(200, 3) @ random.randn(3, 3) + m for m in (0.0, 4.0)])
    frame = pd.DataFrame(data, columns=["a", "b", "c"])
    mixture = GaussianMixture(2, covariance_type=kind, random_state=0).fit(frame)
    point = frame.iloc[[3]]
    joint = mixture.score_samples(point)[0]
    told = mixture.conditional(["c", 0], [point["c"].item(), point["a"].item()])
    beside = mixture.marginal(["c", "a"])
    assert list(told.feature_names_in_) == ["b"]
    parts = told.score_samples(point[["b"]]) + beside.score_samples(point[["c", "a"]])
    assert parts[0] == pytest.approx(joint)
    assert np.allclose(told.weights_, beside.predict_proba(point[["c", "a"]])[0])
    assert told.covariances_.shape == mixture.marginal(["b"]).covariances_.shape
    drawn, _ = mixture.marginal([1]).sample(20_000, random_state=1)
    assert drawn.mean() == pytest.approx(mixture.weights_ @ mixture.means_[:, 1], abs=0.2)
    save(told, tmp_path / "model")
    assert load(tmp_path / "model").sample(3)[0].shape == (3, 1)


def test_a_conditional_is_what_nearby_rows_say():
    mixture = GaussianMixture(3, random_state=0).fit(X)
    drawn, _ = mixture.sample(400_000, random_state=1)
    near = drawn[np.abs(drawn[:, 0] - 1.0) < 0.05, 1]
    told = mixture.conditional([0], [1.0])
    assert told.weights_ @ told.means_[:, 0] == pytest.approx(near.mean(), abs=0.1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m: m.marginal([]), r"columns must be different ones of 0..1, got \[\]"),
        (lambda m: m.marginal([0, 0]), "columns must be different ones"),
        (lambda m: m.conditional([2], [0.0]), "columns must be different ones"),
        (lambda m: m.conditional(["x"], [0.0]), "columns must be different ones"),
        (lambda m: m.conditional([0, 1], [0.0, 0.0]), "columns must leave one"),
        (lambda m: m.conditional([0], [np.nan]), "values must be 1 finite numbers"),
    ],
)
def test_columns_that_cannot_be(call, said):
    mixture = GaussianMixture(2, random_state=0).fit(X)
    with pytest.raises(ValueError, match=said):
        call(mixture)


# --- what cannot be -----------------------------------------------------------------------------

BAD = [
    ({"covariance_type": "round"}, "covariance_type must be one of"),
    ({"init_params": "best"}, "init_params must be one of"),
    ({"n_components": 0}, "n_components must be a positive integer, 'auto' or None, got 0"),
    (
        {"n_components": 3000},
        "n_samples >= n_components but got n_components = 3000, .* fewer than the 3000 components",
    ),
    ({"max_iter": -1}, "max_iter must be an integer of at least 0, got -1"),
    ({"n_components": "auto", "max_iter": 0}, "max_iter must be an integer of at least 1, got 0"),
    ({"verbose": -1}, "verbose must be an integer of at least 0, got -1"),
    ({"verbose_interval": 0}, "verbose_interval must be an integer of at least 1, got 0"),
    ({"n_init": 1.5}, "n_init must be an integer of at least 1, got 1.5"),
    ({"tol": -1}, "tol must be a number not below zero, got -1"),
    ({"reg_covar": np.nan}, "reg_covar must be a number not below zero"),
    ({"weight_concentration_prior": 0.5}, "weight_concentration_prior must be at least 1, got 0.5"),
    ({"covariance_prior": np.eye(3)}, r"covariance_prior .* \(2, 2\), got shape \(3, 3\)"),
    ({"covariance_prior": -1.0}, "covariance_prior must be symmetric and positive definite"),
    ({"degrees_of_freedom_prior": 5.0}, "goes with a covariance_prior"),
    (
        {"covariance_prior": 1.0, "degrees_of_freedom_prior": 1.0},
        "degrees_of_freedom_prior must be above 1",
    ),
    ({"weights_init": [0.5, 0.4, 0.4]}, "weights_init: .* should be normalized, but got .* 1.3"),
    (
        {"weights_init": [1.5, -0.5, 0.0]},
        "weights_init: .* range .* max value 1.5.* min value -0.5",
    ),
    ({"means_init": np.zeros((2, 2))}, r"means_init: .* shape of \(3, 2\), but got \(2, 2\)"),
    (
        {"precisions_init": -np.tile(np.eye(2), (3, 1, 1))},
        "precisions_init: .* should be symmetric",
    ),
    ({"n_components": "auto", "means_init": np.zeros((3, 2))}, "leave means_init at None"),
    (
        {"n_components": "auto", "weight_concentration_prior": 2.0},
        "prior of the weights of its own",
    ),
]


@pytest.mark.parametrize(("settings", "said"), BAD)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(ValueError, match=said):
        GaussianMixture(**{"n_components": 3, **settings}).fit(X)


def test_rows_that_cannot_be():
    with pytest.raises(ValueError, match="takes no labels"):
        GaussianMixture("auto").fit(X, LABELS)
    with pytest.raises(ValueError, match="double precision does not hold the squares"):
        GaussianMixture(2).fit(X * 1e200)
    mixture = GaussianMixture(3, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"component must be in 0..2 or None, got 3"):
        mixture.sample(2, component=3)
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        mixture.sample(0)
    with pytest.warns(ConstantColumnWarning, match=r"columns are constant \('x2'\)"):
        GaussianMixture(3, random_state=0).fit(np.column_stack([X, np.ones(len(X))]))
