"""How odd a row is: tail probabilities with known truth, and rows that belong to no cluster."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from anabranch import FlowMixture, GaussianMixture
from tests.estimators.data import blobs, quick
from tests.estimators.test_mixed_tables import COLUMNS, table


def test_the_tail_of_a_gaussian_is_that_of_its_squared_distance():
    X = np.random.RandomState(0).randn(4000, 2)
    mixture = GaussianMixture(1).fit(X)
    rows = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 2.0], [4.0, 0.0]])
    expected = chi2(2).sf((rows**2).sum(1))
    found = mixture.outlier_scores(rows, n_samples=20_000)
    assert found == pytest.approx(expected, abs=0.03)
    assert found[3] < 0.002


def test_scores_of_rows_of_the_model_are_uniform():
    X, _ = blobs()
    mixture = quick().fit(X)
    own = mixture.sample(2000, random_state=5)[0]
    shares = mixture.outlier_scores(own)
    assert np.quantile(shares, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.05)
    assert (mixture.outlier_scores(own) == shares).all()


def test_odd_rows_belong_to_no_cluster():
    X, _ = blobs()
    mixture = quick(max_epochs=0).fit(X)
    rows = np.r_[X, [[40.0, -30.0]]]
    found = mixture.predict(rows, outliers=0.001)
    assert found[-1] == -1
    plain = mixture.predict(rows)
    assert (found[:-1] == plain[:-1]).mean() > 0.98
    assert plain.min() == 0
    for share in (0, 1.5, "few"):
        with pytest.raises(ValueError, match="outliers must be a share"):
            mixture.predict(X, outliers=share)


@pytest.mark.parametrize("kind", [GaussianMixture, FlowMixture])
def test_a_row_with_gaps_is_compared_with_rows_that_have_the_same(kind):
    """A missing cell makes no row odd, and hides no oddity of the others."""
    frame, _ = table(160, share=0.15)
    quickly = {} if kind is GaussianMixture else {"max_epochs": 0, "init_params": "kmeans"}
    settings = {"columns": COLUMNS, "missing": "marginal", "random_state": 0, **quickly}
    mixture = kind(2, **settings).fit(frame)
    shares = mixture.outlier_scores(frame, n_samples=500)
    gaps = frame.isna().any(axis=1).to_numpy()
    assert abs(np.median(shares[gaps]) - np.median(shares[~gaps])) < 0.2
    odd = frame.iloc[:1].assign(length=99.0, income=None, city=None)
    assert mixture.outlier_scores(pd.DataFrame(odd), n_samples=500)[0] < 0.01
