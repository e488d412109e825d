"""RAD: the branches of a flow as clusters."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from anabranch import RAD, load, save
from anabranch.metrics import clustering_accuracy
from anabranch.transforms import fold_codes


def small(**changes):
    settings = {"n_folds": 2, "n_between": 1, "n_last": 1, "hidden": [4], "max_epochs": 1}
    return RAD(**{**settings, "random_state": 0, **changes})


def four(n=400, seed=0):
    """Four round clusters at the corners of a square."""
    labels = np.arange(n) % 4
    centers = 3.0 * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    return centers[labels] + 0.4 * np.random.RandomState(seed).randn(n, 2), labels


# some checks give labels, as scikit-learn does to clusterers
@pytest.mark.filterwarnings("ignore:y is not used")
@parametrize_with_checks([small(max_epochs=0, n_folds=1, n_last=1)])
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def fitted():
    X, labels = four()
    return small(max_epochs=10).fit(X), X, labels


def test_branches_find_the_clusters(fitted):
    model, X, labels = fitted
    assert model.n_components_ == 4
    assert clustering_accuracy(labels, model.predict(X)) > 0.97
    assert model.weights_ == pytest.approx(np.full(4, 0.25), abs=0.03)
    assert model.lower_bound_ > small(n_folds=1, max_epochs=0).fit(X).lower_bound_


def test_probabilities_are_the_code_of_a_row(fitted):
    model, X, _ = fitted
    P = model.predict_proba(X)
    assert set(np.unique(P)) == {0.0, 1.0}
    assert (P.sum(axis=1) == 1).all()
    z = model.preparation_.encode(X)[0]
    codes = fold_codes(model.model_.transform, z).numpy()
    assert (model.codes_[P.argmax(axis=1)] == codes).all()
    assert (np.diff(model.weights_) <= 0).all()


def test_the_density_is_in_the_units_of_the_data(fitted):
    model, _, _ = fitted
    axis = np.linspace(-8, 8, 500)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    total = np.exp(model.score_samples(grid)).sum() * (axis[1] - axis[0]) ** 2
    assert total == pytest.approx(1, abs=0.02)
    assert model.score_samples([[1e6, -1e6]])[0] < -1e3


def test_samples_carry_their_cluster(fitted):
    model, _, _ = fitted
    X, labels = model.sample(300)
    assert (model.predict(X) == labels).mean() > 0.99
    own, again = model.sample(40, component=2)
    assert own.shape == (40, 2)
    assert (again == 2).all()
    assert (model.predict(own) == 2).mean() > 0.95
    assert (model.sample(5)[0] == model.sample(5)[0]).all()
    with pytest.raises(ValueError, match=r"component must be in 0\.\.3 or None, got 4"):
        model.sample(5, component=4)


def test_small_pieces_join_the_nearest_code():
    X, _ = four()
    stray = np.concatenate((X[np.arange(400) % 4 != 3], [[3.0, 3.0]]))
    counts = [small(max_epochs=0, min_share=share).fit(stray).n_components_ for share in (0, 0.02)]
    assert counts[0] > counts[1]


def test_saved_and_loaded_it_is_the_same(fitted, tmp_path):
    model, X, _ = fitted
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.get_params() == model.get_params()
    assert (loaded.score_samples(X) == model.score_samples(X)).all()
    assert (loaded.predict(X) == model.predict(X)).all()
    assert (loaded.sample(20)[0] == model.sample(20)[0]).all()
    assert loaded.bic(X) == model.bic(X)


def test_the_same_seed_gives_the_same_bits_and_more_starts_are_no_worse():
    X, _ = four(120)
    first, second = (small().fit(X).score_samples(X) for _ in range(2))
    assert (first == second).all()
    one, two = (small(n_init=n).fit(X).lower_bound_ for n in (1, 2))
    assert two >= one
    assert clone(small(n_init=2)).n_init == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_folds": 0}, "n_folds must be an integer of at least 1, got 0"),
        ({"fold": "origami"}, "origami"),
        ({"n_init": 1.5}, "n_init must be an integer of at least 1, got 1.5"),
        ({"min_share": 1.0}, "min_share must be"),
        ({"reg_covar": 0.0}, "reg_covar must be a positive number"),
        ({"fit_options": {"validation_fraction": 1.0}}, "validation_fraction must be"),
    ],
)
def test_settings_that_cannot_be_used(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes).fit(four(40)[0])
