"""FlowMixture against what it claims."""

import copy

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture

from anabranch import FlowMixture
from anabranch.metrics import clustering_accuracy
from anabranch.problems import Pinwheel
from tests.estimators.data import CENTERS, FLOW, bent, blobs, moved, picture, quick


@pytest.fixture(scope="module")
def fitted():
    """One that training has moved away from its start."""
    X, _ = bent()
    mixture = moved().fit(X)
    assert mixture.fit_result_.best_epoch > 0
    return mixture


@pytest.fixture(scope="module")
def variational():
    X, _ = bent()
    mixture = moved(inference="variational", decay=0.01).fit(X)
    assert mixture.fit_result_.best_epoch > 0
    return mixture


X, LABELS = bent()


# --- densities and posteriors -------------------------------------------------------------------


def by_hand(mixture, X):
    """Log p(x, c) in the units of X: each component alone, in float64."""
    loc, scale = X.mean(0), None
    standardize = mixture.preparation_.transform
    loc, scale = standardize.loc.numpy(), standardize.scale.numpy()
    z = torch.as_tensor((X - loc) / scale)
    double = copy.deepcopy(mixture.model_.mixture).double()
    with torch.no_grad():
        parts = [double.component(k).log_prob(z).numpy() for k in range(mixture.n_components_)]
    return np.log(mixture.weights_)[:, None] + np.array(parts) - np.log(scale).sum()


def test_score_samples_are_the_log_density(fitted):
    expected = logsumexp(by_hand(fitted, X), axis=0)
    assert np.allclose(fitted.score_samples(X), expected, atol=1e-4)
    assert fitted.score(X) == fitted.score_samples(X).mean()


def test_the_density_integrates_to_one(fitted):
    grid = np.linspace(-4, 5, 400)
    points = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    mass = np.exp(fitted.score_samples(points)).sum() * (grid[1] - grid[0]) ** 2
    assert mass == pytest.approx(1.0, abs=0.01)


def test_units_change_the_density_by_their_factor(fitted):
    scaled = moved().fit(X * 1000 - 5e4)
    gap = fitted.score_samples(X) - scaled.score_samples(X * 1000 - 5e4)
    assert np.allclose(gap, 2 * np.log(1000), atol=1e-2)


def test_predict_proba_is_the_posterior_by_bayes(fitted):
    proba = fitted.predict_proba(X)
    assert np.allclose(proba, softmax(by_hand(fitted, X), axis=0).T, atol=1e-4)
    assert np.allclose(proba.sum(1), 1.0)
    assert (fitted.predict(X) == proba.argmax(1)).all()
    assert (fitted.predict_proba(X, method="exact") == proba).all()
    assert (fitted.transform(X) == proba).all()


def test_the_network_is_another_way_to_the_posterior(fitted):
    q = fitted.predict_proba(X, method="network")
    z = torch.as_tensor(fitted.preparation_.transform.encode(torch.as_tensor(X))[0]).float()
    with torch.no_grad():
        logits = fitted.model_.posterior(z).double().numpy()
    assert np.allclose(q, softmax(logits, axis=1), atol=1e-5)
    assert (q != fitted.predict_proba(X)).any()
    assert (q.argmax(1) == fitted.predict(X)).mean() > 0.9


def test_variational_inference_answers_by_its_network(variational):
    network = variational.predict_proba(X)
    assert (network == variational.predict_proba(X, method="network")).all()
    assert (network != variational.predict_proba(X, method="exact")).any()
    assert variational.model_.temperature.item() < 1.0
    assert (variational.predict(X, method="exact") == variational.predict(X)).mean() > 0.9


def test_the_bound_is_reported_and_below_the_likelihood(variational, fitted):
    for mixture, monitored in ((variational, "negative_elbo"), (fitted, "nll")):
        scores = [entry[f"validation_{monitored}"] for entry in mixture.history_]
        # the share of the flows is learned once more in the end
        assert mixture.lower_bound_ == pytest.approx(-min(scores), abs=0.02)
    best = min(variational.history_, key=lambda entry: entry["validation_negative_elbo"])
    assert best["validation_negative_elbo"] >= best["validation_nll"]


def test_the_temperature_falls_to_its_floor():
    mixture = moved(inference="variational", decay=0.05, floor=0.2, patience=100).fit(X)
    for entry in mixture.history_[1:]:
        expected = max(np.exp(-0.05 * (entry["step"] - 1)), 0.2)
        assert entry["temperature"] == pytest.approx(expected)
    assert mixture.history_[-1]["temperature"] == 0.2


def test_many_rows_are_scored_in_parts(fitted):
    many = np.tile(X, (50, 1))
    assert np.allclose(fitted.score_samples(many), np.tile(fitted.score_samples(X), 50), atol=1e-6)


def test_an_unknown_method(fitted):
    with pytest.raises(ValueError, match=r"method must be one of .*, got 'both'"):
        fitted.predict_proba(X, method="both")


# --- samples ------------------------------------------------------------------------------------


def test_samples_follow_the_model():
    X, _ = blobs(300)
    mixture = quick(weights=[0.6, 0.3, 0.1], max_epochs=0).fit(X)
    drawn, labels = mixture.sample(6000)
    assert drawn.shape == (6000, 2)
    counts = np.bincount(labels, minlength=3)
    deviation = np.sqrt(6000 * mixture.weights_ * (1 - mixture.weights_))
    assert (np.abs(counts - 6000 * mixture.weights_) < 4 * deviation).all()
    assert (mixture.predict(drawn) == labels).mean() > 0.99
    for k in range(3):
        near = np.abs(drawn[labels == k].mean(0) - CENTERS).max(1).min()
        assert near < 0.3


def test_the_mean_log_density_of_samples_is_the_entropy(fitted):
    """Two estimates of -E log p: from samples, and by quadrature of the density."""
    drawn, _ = fitted.sample(20_000, random_state=1)
    grid = np.linspace(-4, 5, 600)
    points = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    log_p = fitted.score_samples(points)
    quadrature = -(np.exp(log_p) * log_p).sum() * (grid[1] - grid[0]) ** 2
    scores = fitted.score_samples(drawn)
    assert -scores.mean() == pytest.approx(quadrature, abs=4 * scores.std() / 20_000**0.5 + 0.01)


def test_samples_of_one_component(fitted):
    drawn, labels = fitted.sample(500, component=1)
    assert (labels == 1).all()
    assert (fitted.predict(drawn) == 1).mean() > 0.9
    with pytest.raises(ValueError, match=r"component must be in 0\.\.1 or None, got 2"):
        fitted.sample(5, component=2)


def test_samples_follow_their_seed(fitted):
    first, second = fitted.sample(20)[0], fitted.sample(20)[0]
    assert (first == second).all()  # the estimator's own seed is an integer
    assert (fitted.sample(20, random_state=3)[0] != first).any()
    state = np.random.RandomState(3)
    assert (
        fitted.sample(20, random_state=state)[0] != fitted.sample(20, random_state=state)[0]
    ).any()
    with pytest.raises(ValueError, match="n_samples must be at least 1, got 0"):
        fitted.sample(0)


# --- randomness ---------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits_and_another_does_not(fitted):
    again = moved().fit(X)
    assert (again.score_samples(X) == fitted.score_samples(X)).all()
    assert str(again.history_) == str(fitted.history_)
    other = moved(random_state=1).fit(X)
    assert (other.score_samples(X) != fitted.score_samples(X)).any()


def test_global_sources_are_left_alone():
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    quick(max_epochs=1).fit(blobs()[0]).sample(5)
    levels, _ = picture()
    quick(2, model_options={"levels": 8}, max_epochs=1).fit(levels).sample(5)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002


# --- a user of GaussianMixture loses nothing ----------------------------------------------------


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_without_epochs_it_is_the_gaussian_mixture(covariance_type):
    X, _ = blobs(300)
    held_out = blobs(100, seed=7)[0]
    mixture = quick(
        max_epochs=0, init_params="gmm", covariance_type=covariance_type, validation_fraction=0.1
    ).fit(X)
    order = np.random.RandomState(0).permutation(300)
    train = X[np.sort(order[30:])]
    gmm = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(train)
    assert mixture.n_iter_ == 0
    assert mixture.score(held_out) == pytest.approx(gmm.score(held_out), abs=0.01)
    assert clustering_accuracy(mixture.predict(held_out), gmm.predict(held_out)) == 1.0


def test_the_best_start_is_kept():
    """The Gaussian mixture that is best on validation rows, found among many, is not beaten."""
    random = np.random.RandomState(0)
    X = random.randn(400, 4) @ np.diag([1.0, 3.0, 0.2, 1.0]) + (random.rand(400, 1) > 0.5) * 4
    V = random.randn(200, 4) @ np.diag([1.0, 3.0, 0.2, 1.0]) + (random.rand(200, 1) > 0.5) * 4
    mixture = quick(2, max_epochs=0, covariance_type="auto").fit(X, X_val=V)
    scores = [
        GaussianMixture(2, covariance_type=kind, random_state=0).fit(X).score(V)
        for kind in ("full", "tied", "diag", "spherical")
    ]
    assert mixture.score(V) >= max(scores) - 0.02
    assert mixture.lower_bound_ == pytest.approx(mixture.score(V), abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_changing_one_import_loses_nothing(seed):
    """Gaussian blobs, where the Gaussian mixture is the truth."""
    X, _ = blobs(600, seed=seed)
    held_out, _ = blobs(600, seed=seed + 100)
    mixture = FlowMixture(n_components=3, random_state=seed, batch_size=256).fit(X)
    gmm = GaussianMixture(n_components=3, random_state=seed).fit(X)
    assert mixture.score(held_out) >= gmm.score(held_out) - 0.05


def test_bent_clusters_are_found_where_gaussians_fail(fitted):
    held_out, labels = bent(seed=1)
    gmm = GaussianMixture(2, random_state=0).fit(X)
    assert fitted.score(held_out) > gmm.score(held_out) + 0.3
    assert clustering_accuracy(fitted.predict(held_out), labels) > 0.9


@pytest.mark.slow
def test_the_pinwheel_with_defaults():
    problem = Pinwheel()
    X, y = problem.sample_per_component(512, random_state=0)
    held_out, _ = problem.sample(2000, random_state=1)
    mixture = FlowMixture(5, random_state=0).fit(X)
    assert clustering_accuracy(mixture.predict(X), y) > 0.98
    assert problem.log_prob(held_out).mean() - mixture.score(held_out) < 0.12


# --- settings -----------------------------------------------------------------------------------


def test_weights_are_learned_uniform_or_given():
    X = np.concatenate([blobs()[0], CENTERS[2] + 0.5 * np.random.RandomState(1).randn(300, 2)])
    learned = quick(max_epochs=20).fit(X)
    assert sorted(learned.weights_) == pytest.approx([1 / 9, 1 / 9, 7 / 9], abs=0.04)
    uniform = quick(weights="uniform").fit(X)
    assert uniform.weights_ == pytest.approx([1 / 3] * 3)
    given = quick(weights=[5, 3, 2]).fit(X)
    assert given.weights_ == pytest.approx([0.5, 0.3, 0.2])
    assert learned.weights_.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("covariance_type", ["auto", "full"])
@pytest.mark.parametrize("init_params", ["auto", "kmeans", "gmm", "random"])
def test_every_start(init_params, covariance_type):
    data, labels = blobs()
    settings = {"init_params": init_params, "covariance_type": covariance_type}
    mixture = quick(**settings, n_init=1 if init_params != "random" else 4).fit(data)
    assert clustering_accuracy(mixture.predict(data), labels) == 1.0
    name = {"kmeans": "kmeans", "random": "random", "gmm": "em/"}.get(init_params, "")
    assert mixture.start_.startswith(name)


def test_more_starts_are_not_worse():
    """Random starts of many clusters: the best of five on validation rows is kept."""
    random = np.random.RandomState(0)
    centers = 10 * random.randn(8, 2)
    data = centers[np.arange(400) % 8] + random.randn(400, 2)
    bounds = [
        quick(8, init_params="random", n_init=n, max_epochs=1, random_state=1)
        .fit(data)
        .lower_bound_
        for n in (1, 5)
    ]
    assert bounds[1] > bounds[0]


def test_em_fits_too(fitted):
    mixture = moved(algorithm="em").fit(X)
    assert mixture.fit_result_.best_epoch > 0
    held_out, labels = bent(seed=1)
    assert mixture.score(held_out) == pytest.approx(fitted.score(held_out), abs=0.3)
    assert clustering_accuracy(mixture.predict(held_out), labels) > 0.9
    fixed = moved(algorithm="em", weights=[0.7, 0.3], max_epochs=3).fit(X)
    assert fixed.weights_ == pytest.approx([0.7, 0.3])


def test_unlike_flows():
    mixture = moved(flow=[FLOW, {"name": "maf", "n_layers": 2, "hidden": [8]}]).fit(X)
    assert len(mixture.model_.mixture.groups) == 2
    assert mixture.score(X) > GaussianMixture(2, random_state=0).fit(X).score(X)


def test_one_component_is_the_default():
    mixture = quick(None, max_epochs=1).fit(X)
    assert mixture.n_components_ == 1
    assert (mixture.predict_proba(X) == 1.0).all()


def test_one_column():
    data = np.concatenate([np.random.RandomState(0).randn(100), 6 + np.arange(100) / 50])[:, None]
    mixture = quick(2).fit(data)
    assert clustering_accuracy(mixture.predict(data), np.arange(200) // 100) > 0.97


def test_integer_levels():
    data, labels = picture()
    mixture = quick(2, model_options={"levels": 8}, max_epochs=10).fit(data)
    assert clustering_accuracy(mixture.predict(data), labels) > 0.97
    # a bound of log-probabilities: none is above zero, and repeated calls agree
    scores = mixture.score_samples(data)
    assert (scores < 0).all()
    assert (mixture.score_samples(data) == scores).all()
    drawn, _ = mixture.sample(200)
    assert set(np.unique(drawn)) <= set(range(8))
    assert np.abs(drawn.mean(0) - data.mean(0)).max() < 0.5


def test_a_validation_set_of_ones_own():
    V, _ = bent(100, seed=3)
    mixture = moved(max_epochs=3, init_params="kmeans").fit(X, X_val=V)
    before = mixture.history_[0]["validation_nll"]
    start = moved(max_epochs=0, init_params="kmeans").fit(X, X_val=V)
    assert -start.score(V) == pytest.approx(before, abs=1e-4)
    assert (mixture.preparation_.transform.loc.numpy() == X.mean(0)).all()


def test_validation_rows_are_not_trained_on():
    mixture = quick(max_epochs=0, validation_fraction=0.5).fit(X)
    order = np.random.RandomState(0).permutation(len(X))
    train = X[np.sort(order[200:])]
    assert np.allclose(mixture.preparation_.transform.loc.numpy(), train.mean(0))


def test_progress_is_shown_where_it_is_asked_for(capsys, monkeypatch):
    import sys

    quick(max_epochs=2).fit(X)
    assert capsys.readouterr().err == ""
    quick(max_epochs=2, verbose=1, fit_options={"progress": True}).fit(X)
    assert "2/2" in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    quick(max_epochs=2, verbose=1).fit(X)
    assert "2/2" in capsys.readouterr().err
    quick(max_epochs=2).fit(X)
    assert capsys.readouterr().err == ""


def test_fit_options_reach_the_loop(tmp_path):
    options = {"log_path": tmp_path / "log", "min_evaluation_steps": 1}
    quick(init_params="kmeans", fit_options=options).fit(X)
    assert len((tmp_path / "log").read_text().splitlines()) == 5


def test_attributes(fitted):
    assert fitted.n_components_ == 2
    assert fitted.n_features_in_ == 2
    assert fitted.n_iter_ == fitted.history_[-1]["epoch"] <= 30
    assert fitted.converged_ == (fitted.fit_result_.stopped == "patience")
    assert fitted.weights_.shape == (2,)
    assert not fitted.model_.training
    assert moved(patience=0, learning_rate=1.0, max_epochs=80).fit(X).converged_


def test_unfitted():
    for use in (
        lambda m: m.predict(X),
        lambda m: m.predict_proba(X),
        lambda m: m.score_samples(X),
        lambda m: m.score(X),
        lambda m: m.sample(),
        lambda m: m.bic(X),
        lambda m: m.transform(X),
    ):
        with pytest.raises(NotFittedError):
            use(FlowMixture())


# --- warm starts --------------------------------------------------------------------------------


def test_a_warm_start_goes_on():
    mixture = moved(max_epochs=10, patience=100, start="last").fit(X)
    first = mixture.lower_bound_
    model = mixture.model_
    mixture.fit(X)
    assert mixture.model_ is model
    assert mixture.history_[0]["validation_nll"] == pytest.approx(-first, abs=1e-5)
    assert mixture.lower_bound_ > first
    cold = moved(max_epochs=10, patience=100).fit(X)
    cold.fit(X)
    assert cold.lower_bound_ == first


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"n_components": 3}, r"n_components \(2, now 3\)"),
        ({"flow": "maf"}, "flow"),
    ],
)
def test_a_warm_start_of_another_model_is_refused(change, named):
    mixture = quick(2, start="last").fit(X)
    with pytest.raises(ValueError, match=f"start goes on with a model that differs in.*{named}"):
        mixture.set_params(**change).fit(X)
    with pytest.raises(ValueError, match=r"features \(2, now 1\)"):
        quick(2, start="last").fit(X).fit(X[:, :1])


# --- information criteria -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flow", "weights", "expected"),
    [
        # D = 3, K = 2. A Gaussian has 3 + 6 a component, and the one that hedges it is the same;
        # beside, there are the share of the flows and, where they are learned, two sets of weights.
        # A coupling without hidden units keeps one feature: two scales and two shifts.
        ({"name": "realnvp", "n_layers": 1, "hidden": []}, "uniform", 2 * (9 + 4 + 4) + 1),
        ({"name": "realnvp", "n_layers": 1, "hidden": []}, "learned", 2 * (9 + 4 + 4) + 1 + 2),
        # Two couplings of halves 1 and 2 with 4 hidden units, scale and shift:
        # kept 1: 4 + 4, then 4 (4 + 1); kept 2: 8 + 4, then 2 (4 + 1).
        ({"name": "realnvp", "n_layers": 2, "hidden": [4]}, "uniform", 2 * (9 + 28 + 22) + 1),
        # A MADE whose 4 hidden units have degrees 1, 1, 2, 2: they see 1, 1, 2, 2 features and
        # the outputs of the features see 0, 2, 4 of them; twice, for scale and shift.
        (
            {"name": "maf", "n_layers": 1, "hidden": [4]},
            "uniform",
            2 * (9 + 6 + 4 + 2 * 6 + 6) + 1,
        ),
    ],
)
def test_information_criteria_count_free_parameters(flow, weights, expected):
    data = np.random.RandomState(0).randn(100, 3)
    mixture = quick(2, flow=flow, weights=weights, max_epochs=0).fit(data)
    log_likelihood = mixture.score_samples(data).sum()
    assert mixture.aic(data) == pytest.approx(-2 * log_likelihood + 2 * expected)
    assert mixture.bic(data) == pytest.approx(-2 * log_likelihood + np.log(100) * expected)


def test_information_criteria_are_those_of_the_gaussian_mixture():
    """At the start the model is a GaussianMixture, and differs by its flow's parameters."""
    data, _ = blobs(300)
    flow = {"name": "realnvp", "n_layers": 1, "hidden": []}
    mixture = quick(flow=flow, max_epochs=0, hedge=False).fit(data)
    gmm = GaussianMixture(3, random_state=0).fit(data)
    fit_gap = -2 * 300 * (mixture.score(data) - gmm.score(data))
    expected = fit_gap + 3 * 4 * np.log(300)
    assert mixture.bic(data) - gmm.bic(data) == pytest.approx(expected, abs=1e-6)
