"""Bad input: one clear sentence that names what is wrong."""

import warnings

import numpy as np
import pandas as pd
import pytest

from anabranch.estimators.column_warnings import ConstantColumnWarning
from anabranch.metrics import clustering_accuracy
from anabranch.models.counting import free_parameters
from anabranch.transforms import LULinear, TriangularAffine
from tests.estimators.data import blobs, picture, quick

X, LABELS = blobs()


@pytest.fixture(scope="module")
def fitted():
    return quick().fit(X)


def with_values(row_column_values, data=X):
    data = data.copy()
    for row, column, value in row_column_values:
        data[row, column] = value
    return data


BROKEN = with_values([(0, 0, np.nan), (3, 0, np.nan), (5, 0, -np.inf), (7, 1, np.inf)])


def test_nan_and_infinity_name_columns_and_counts(fitted):
    message = (
        r"X holds NaN or infinity in 2 of 2 columns: "
        r"'x0' \(2 NaN, 1 infinite\), 'x1' \(1 infinite\)"
    )
    for use in (quick().fit, fitted.predict, fitted.predict_proba, fitted.score_samples):
        with pytest.raises(ValueError, match=message):
            use(BROKEN)
    with pytest.raises(ValueError, match=message):
        quick().fit(X, X_val=BROKEN)
    frame = pd.DataFrame(BROKEN, columns=["width", "height"])
    with pytest.raises(ValueError, match=r"'width' \(2 NaN, 1 infinite\), 'height'"):
        quick().fit(frame)


def test_a_constant_column_warns_and_fits():
    data = np.column_stack([X, np.full(len(X), 7.5)])
    frame = pd.DataFrame(data, columns=["a", "b", "same"])
    message = (
        r"1 of 3 columns are constant \('same'\).* given a variance of 1e-06 or more; drop them"
    )
    with pytest.warns(ConstantColumnWarning, match=message):
        mixture = quick().fit(frame)
    with pytest.warns(ConstantColumnWarning, match=message):
        chosen = quick(covariance_type="auto").fit(frame)
    assert mixture.constant_.tolist() == [False, False, True]
    assert clustering_accuracy(quick().fit(X).predict(X), mixture.predict(frame)) > 0.99
    assert np.abs(mixture.sample(100)[0][:, 2] - 7.5).max() < 0.02
    assert np.abs(chosen.sample(100)[0][:, 2] - 7.5).max() < 0.5
    assert np.isfinite(mixture.score_samples(frame)).all()


def test_a_constant_column_cannot_raise_the_density_without_limit():
    data = np.column_stack([X, np.full(len(X), 1e6)])
    with pytest.warns(ConstantColumnWarning):
        mixture = quick(max_epochs=100, patience=100, learning_rate=0.05).fit(data)
    highest = -0.5 * np.log(2 * np.pi * 1e-6)
    gain = mixture.score(data) - quick(max_epochs=30).fit(X).score(X)
    assert 0 < gain < highest + 1.0


def test_all_columns_constant():
    with pytest.warns(ConstantColumnWarning, match="2 of 2 columns are constant"):
        mixture = quick(2).fit(np.full((50, 2), 3.0))
    assert np.isfinite(mixture.score_samples([[3.0, 3.0]])).all()


def test_fewer_rows_than_components():
    with pytest.raises(ValueError, match="X has 2 rows, fewer than the 3 components"):
        quick().fit(X[:2])


def test_as_many_rows_as_components():
    mixture = quick(covariance_type="auto").fit(X[:3])
    assert sorted(mixture.predict(X[:3])) == [0, 1, 2]


def test_another_number_of_columns(fitted):
    for use in (fitted.predict, fitted.score_samples, fitted.transform):
        with pytest.raises(ValueError, match="X has 3 features, but FlowMixture is expecting 2"):
            use(np.ones((5, 3)))
    with pytest.raises(ValueError, match="X has 3 features, but FlowMixture is expecting 2"):
        quick().fit(X, X_val=np.ones((5, 3)))


def test_one_dimensional_data(fitted):
    for use in (quick().fit, fitted.predict):
        with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
            use(X[:, 0])


def test_one_row(fitted):
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        quick(1).fit(X[:1])
    assert fitted.predict(X[:1]).shape == (1,)
    assert fitted.score_samples(X[:1])[0] == pytest.approx(fitted.score_samples(X)[0], abs=1e-5)


def test_no_rows(fitted):
    for use in (quick().fit, fitted.predict):
        with pytest.raises(ValueError, match="Found array with 0 sample"):
            use(X[:0])


def test_text(fitted):
    data = np.array([["1", "a"], ["2", "3"]], dtype=object)
    for use in (quick(1).fit, fitted.predict):
        with pytest.raises(ValueError, match="could not convert string to float"):
            use(data)


@pytest.mark.parametrize("value", [1e30, -1e30, 1e12])
def test_a_far_value_in_training_names_its_column(value):
    frame = pd.DataFrame(with_values([(4, 1, value)]), columns=["a", "b"])
    shown = f"{value:.3g}".replace("+", r"\+")
    message = rf"column 'b' holds {shown}, more than 1e\+07 times its interquartile range"
    with pytest.raises(ValueError, match=message):
        quick().fit(frame)


@pytest.mark.parametrize("value", [1e30, -1e30, 1e20, 1e6])
@pytest.mark.parametrize("inference", ["exact", "variational"])
def test_a_far_value_is_scored(value, inference):
    mixture = quick(inference=inference, max_epochs=10).fit(X)
    data = with_values([(0, 0, value), (1, 1, value)])
    with np.errstate(all="raise"):
        scores = mixture.score_samples(data)
    assert np.isfinite(scores).all()
    assert (scores[:2] < -1e9).all()
    assert np.allclose(scores[2:], mixture.score_samples(X)[2:], atol=1e-5)
    for method in ("exact", "network"):
        proba = mixture.predict_proba(data, method=method)
        assert np.isfinite(proba).all()
        assert np.allclose(proba.sum(1), 1.0)


@pytest.mark.parametrize("value", [1e60, 1e300])
def test_a_value_beyond_single_precision_is_named(fitted, value):
    for use in (fitted.score_samples, fitted.predict, fitted.predict_proba):
        with pytest.raises(ValueError, match=r"column 'x1' holds .* too far from the rows"):
            use(with_values([(9, 1, value)]))


def test_data_in_large_and_small_units():
    expected = quick().fit(X).predict(X)
    for scale, shift in ((1e-30, 0.0), (1e30, 0.0), (1.0, 1e8)):
        data = X * scale + shift
        mixture = quick().fit(data)
        assert (mixture.predict(data) == expected).mean() > 0.99
        assert np.isfinite(mixture.score_samples(data)).all()


@pytest.mark.parametrize("init_params", ["auto", "kmeans", "gmm", "random"])
def test_duplicated_rows(init_params):
    """Fewer distinct rows than components."""
    data = np.repeat([[0.0, 0.0], [1.0, 3.0]], 30, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*take few values|.*determine")
        mixture = quick(3, init_params=init_params, covariance_type="auto").fit(data)
    assert np.isfinite(mixture.score_samples(data)).all()
    predicted = mixture.predict(data)
    assert len(set(predicted[:30])) == len(set(predicted[30:])) == 1
    assert predicted[0] != predicted[-1]


def test_every_row_twice():
    data = np.repeat(X, 2, axis=0)
    assert clustering_accuracy(quick().fit(data).predict(data), np.repeat(LABELS, 2)) == 1.0


def test_labels_outside_the_components():
    with pytest.raises(ValueError, match=r"labels must be 0\.\.1 for 2 components.*, got 2"):
        quick(2).fit(X, LABELS)


@pytest.mark.parametrize(
    ("flow", "error", "message"),
    [
        ("gloom", ValueError, r"unknown recipe 'gloom'; there are .*maf, .*realnvp"),
        ({"name": "maf", "depth": 2}, TypeError, "recipe 'maf' has no keyword 'depth'; it has"),
        (["maf"], ValueError, "flow lists 1 recipes for 3 components"),
    ],
)
def test_a_flow_that_is_none(flow, error, message):
    with pytest.raises(error, match=message):
        quick(flow=flow).fit(X)


def test_values_outside_the_levels():
    data, _ = picture()
    fitted = quick(2, levels=8, max_epochs=1).fit(data)
    for value, shown in ((8.0, "8"), (-1.0, "-1"), (2.5, "2.5")):
        bad = with_values([(6, 2, value)], data)
        message = rf"levels=8 needs integers 0\.\.7, got {shown} in column 'x2', row 6"
        for use in (quick(2, levels=8).fit, fitted.predict, fitted.score_samples):
            with pytest.raises(ValueError, match=message):
                use(bad)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("n_components", 0, "n_components must be a positive integer, 'auto' or None, got 0"),
        ("n_components", -1, "n_components must be a positive integer, 'auto' or None, got -1"),
        ("n_components", 2.0, r"n_components must be a positive integer, 'auto' or None, got 2\.0"),
        ("n_components", "3", "n_components must be a positive integer, 'auto' or None, got '3'"),
        ("inference", "both", r"inference must be one of .*, got 'both'"),
        ("algorithm", "sgd", r"algorithm must be one of .*, got 'sgd'"),
        ("init_params", "k-means++", r"init_params must be one of .*, got 'k-means\+\+'"),
        ("covariance_type", "round", r"covariance_type must be one of .*, got 'round'"),
        ("weights", "equal", r"weights must be one of .*, got 'equal'"),
        ("weights", [0.5, 0.5], r"weights must be 3 positive numbers, got \[0\.5, 0\.5\]"),
        ("weights", [1, 1, 0], "weights must be 3 positive numbers"),
        ("validation_fraction", 0.0, r"validation_fraction must be in \(0, 1\), got 0\.0"),
        ("learning_rate", 0.0, r"learning_rate must be 'auto' or a positive number, got 0\.0"),
        ("learning_rate", "fast", "learning_rate must be 'auto' or a positive number, got 'fast'"),
        ("n_init", 0, "n_init must be an integer of at least 1, got 0"),
        ("n_init", "two", "n_init must be an integer of at least 1, got 'two'"),
        ("reg_covar", 0.0, r"reg_covar must be a positive number, got 0\.0"),
        ("max_epochs", -1, "max_epochs must be an integer of at least 0, got -1"),
        ("batch_size", 0, "batch_size must be an integer of at least 1, got 0"),
        ("levels", 1, "levels"),
    ],
)
def test_settings_that_cannot_be(setting, value, message):
    with pytest.raises(ValueError, match=message):
        quick(**{setting: value}).fit(X)


def test_em_needs_exact_inference():
    with pytest.raises(ValueError, match="algorithm='em' needs inference='exact'"):
        quick(algorithm="em", inference="variational").fit(X)


def test_an_unknown_option_of_the_loop():
    with pytest.raises(ValueError, match="fit_options has no 'speed'"):
        quick(fit_options={"speed": 2}).fit(X)


def test_triangles_are_half_empty():
    assert free_parameters(TriangularAffine(4, batch_shape=(3,))) == 3 * (4 + 10)
    assert free_parameters(TriangularAffine(4, diagonal=True)) == 8
    assert free_parameters(LULinear(4)) == 2 * 6 + 4


@pytest.mark.parametrize("view", [lambda X: X[::-1], lambda X: np.asfortranarray(X), np.flipud])
def test_rows_in_any_memory_order_are_read(fitted, view):
    X = np.random.RandomState(0).randn(6, fitted.n_features_in_)
    again = np.ascontiguousarray(view(X))
    assert np.array_equal(fitted.predict_proba(view(X)), fitted.predict_proba(again))


def test_rows_held_out_are_not_counted_for_the_components():
    with pytest.raises(ValueError, match="10 components, but 8 of the 10 rows are trained on"):
        quick(10).fit(X[:10])
