"""How odd a row is: tail probabilities with known truth, and rows that belong to no cluster."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from anabranch import FlowMixture, GaussianMixture, load, save
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


def test_the_columns_that_make_a_row_odd():
    random = np.random.RandomState(0)
    X = random.randn(600, 3)
    X[:, 1] = X[:, 0] + 0.1 * random.randn(600)
    mixture = GaussianMixture(1).fit(X)
    gains = mixture.outlier_columns([[0.0, 0.0, 8.0], [2.0, -2.0, 0.0]], n_samples=200)
    assert gains[0, 2] == pytest.approx(32, abs=5)  # half of 8 squared, about
    assert gains[0, :2].max() < 0.5
    # one of two that contradict each other is wrong, and either would do
    assert gains[1, :2].min() > 0.8 * gains[1, :2].max() > 100
    assert gains[1, 2] < 0.05 * gains[1].max()


def test_the_columns_of_a_table_with_gaps():
    frame, _ = table(200)
    mixture = GaussianMixture(2, columns=COLUMNS, missing="marginal", random_state=0).fit(frame)
    gains = mixture.outlier_columns(frame.iloc[:20])
    names = mixture.coding_.encoded_names
    assert gains.shape == (20, len(names))
    gaps = frame[names].iloc[:20].isna().to_numpy()
    assert (gains[gaps] == 0).all()
    assert (gains >= 0).all()


def test_a_fit_tells_the_rows_that_it_held_out(tmp_path):
    X, _ = blobs()
    mixture = quick(max_epochs=0).fit(X)
    rows = mixture.held_out_rows(X)
    assert len(rows) == round(0.15 * len(X))
    assert mixture.score_samples(X[rows]).mean() == pytest.approx(mixture.lower_bound_, abs=1e-3)
    assert mixture.held_out_rows(X[::-1]) is None
    save(mixture, tmp_path / "m")
    assert (load(tmp_path / "m").held_out_rows(X) == rows).all()
    mixture.fit(X, X_val=X[:30])
    assert mixture.held_out_rows(X) is None
