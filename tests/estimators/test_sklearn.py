"""scikit-learn's own checks, on few epochs, and by the slow tests on the default estimator."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from anabranch import FlowMixture
from tests.estimators.data import FLOW, blobs, moved, quick


def impossible(estimator):
    """Other rows are held out where rows are repeated, and other batches drawn."""
    why = "the loss of a batch is that of repeated rows, and not which rows are drawn"
    return {"check_sample_weight_equivalence_on_dense_data": why}


# check_array_api_input skips itself: it runs only where SCIPY_ARRAY_API is set.
# The warning: some checks fit one component, which is the default, with labels of several classes.
@pytest.mark.filterwarnings("ignore:y has labels up to", "ignore:y has the 2 classes")
@parametrize_with_checks(
    [FlowMixture(flow=FLOW, max_epochs=2, init_params="kmeans")], expected_failed_checks=impossible
)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:y has labels up to", "ignore:y has the 2 classes")
@parametrize_with_checks([FlowMixture()], expected_failed_checks=impossible)
def test_check_the_default_estimator(estimator, check):
    check(estimator)


def test_settings_survive_cloning():
    settings = quick(weights=[0.5, 0.3, 0.2], flow=["maf", "realnvp", "maf"]).get_params(deep=False)
    assert clone(FlowMixture(**settings)).get_params(deep=False) == settings


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_frames_in_and_out(library):
    X, _ = blobs()
    frame = library.DataFrame({"width": X[:, 0], "height": X[:, 1]})
    mixture = quick().fit(frame)
    assert mixture.feature_names_in_.tolist() == ["width", "height"]
    plain = quick().fit(X)
    assert (mixture.predict_proba(frame) == plain.predict_proba(X)).all()
    assert (mixture.score_samples(frame) == plain.score_samples(X)).all()
    names = ["flowmixture0", "flowmixture1", "flowmixture2"]
    assert mixture.get_feature_names_out().tolist() == names
    for kind, cls in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
        out = mixture.set_output(transform=kind).transform(frame)
        assert isinstance(out, cls)
        assert list(out.columns) == names
        assert (out.to_numpy() == plain.predict_proba(X)).all()
    turned = frame[["height", "width"]]
    with pytest.raises(ValueError, match="feature names should match"):
        mixture.predict(turned)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64, np.uint8])
def test_real_dtypes_in_double_out(dtype):
    X, _ = blobs()
    X = (10 * X + 20).astype(dtype)
    mixture = quick(max_epochs=1).fit(X)
    assert mixture.predict_proba(X).dtype == mixture.score_samples(X).dtype == np.float64
    assert mixture.predict(X).dtype == np.int64
    same = quick(max_epochs=1).fit(X.astype(np.float64))
    assert (same.score_samples(X.astype(np.float64)) == mixture.score_samples(X)).all()


def test_lists_and_strides_are_taken():
    X, _ = blobs()
    expected = quick().fit(X).score_samples(X)
    wide = np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2]
    for same in (X.tolist(), np.asfortranarray(X), wide):
        assert (quick().fit(same).score_samples(same) == expected).all()


def test_in_a_pipeline():
    X, labels = blobs()
    pipeline = make_pipeline(StandardScaler(), quick())
    predicted = pipeline.fit(X).predict(X)
    assert all(len(set(predicted[labels == k])) == 1 for k in range(3))
    assert pipeline.transform(X).shape == (150, 3)
    assert np.isfinite(pipeline.score(X))


def test_a_grid_search_chooses_by_held_out_density():
    X, _ = blobs()
    grid = {"n_components": np.arange(1, 4), "learning_rate": np.array([0.01])}
    search = GridSearchCV(quick(max_epochs=0), grid, cv=2).fit(X)
    assert search.best_params_["n_components"] == 3
    assert search.best_estimator_.n_components_ == 3


def test_the_input_is_left_as_it_is():
    X, labels = blobs()
    X.flags.writeable = False
    y = np.where(labels == 0, 0, -1)
    y.flags.writeable = False
    quick().fit(X, y).predict(X)


def test_fit_predict_is_fit_then_predict():
    from tests.estimators.data import bent

    X, _ = bent()
    assert (moved().fit_predict(X) == moved().fit(X).predict(X)).all()
