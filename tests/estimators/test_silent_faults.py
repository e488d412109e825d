"""What once gave wrong answers in silence: odd columns, offsets, torch's defaults, forks."""

import multiprocessing
import re
import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture as SklearnMixture

from anabranch import DeepMixture, FlowDensity, FlowMixture, GaussianMixture
from anabranch.estimators.column_warnings import (
    ColumnWarning,
    constant_columns,
    dependent_columns,
    warn_few_values,
    warn_regularised,
    warn_stray,
)
from anabranch.procedures.preparation import robust_statistics

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(300, 2)
X[150:, 0] += 6
Y = np.repeat([0, 1], 150)
NAMES = ["a", "b", "c", "d"]
MAKES = {
    "mixture": lambda: FlowMixture(2, max_epochs=1, random_state=0),
    "density": lambda: FlowDensity(max_epochs=1, random_state=0),
    "deep": lambda: DeepMixture(
        2, latent=2, hidden=[8], start={"epochs": 1}, max_epochs=1, random_state=0
    ),
}


def standard(table):
    return (table - table.mean(0)) / table.std(0)


@pytest.mark.parametrize("offset", [0.0, 5.2e6, 1.7e12, -1e9])
def test_an_offset_is_not_constancy(offset):
    spread = 64 * np.spacing(max(abs(offset), 1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not constant_columns(X * spread + offset, NAMES[:2], 1e-6).any()


@pytest.mark.parametrize(
    "further",
    [lambda x: x, lambda x: x.sum(1), lambda x: 2.54 * x[:, 0] + 1, lambda x: 1e3 - x[:, 1]],
)
def test_columns_that_others_determine_are_named(further):
    table = np.c_[X, further(X)]
    with pytest.warns(ColumnWarning, match="other columns determine"):
        found = dependent_columns(standard(table), NAMES[: table.shape[1]])
    assert found.sum() == table.shape[1] - 2


def test_what_nearly_depends_does_not_warn():
    near = X.sum(1) + 1e-4 * RANDOM.randn(300)
    rare = np.eye(300)[:, :2]  # zero but for one row
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not dependent_columns(standard(np.c_[X, near]), NAMES).any()
        assert not dependent_columns(np.c_[X, rare], NAMES).any()
        assert not dependent_columns(np.c_[X, np.zeros(300)], NAMES).any()
        assert not dependent_columns(X[:2], NAMES).any()


def test_a_copied_column_leaves_the_clusters():
    with pytest.warns(ColumnWarning, match="determine"):
        mixture = FlowMixture(2, max_epochs=5, random_state=0).fit(np.c_[X, X[:, 0]])
    assert adjusted_rand_score(Y, mixture.predict(np.c_[X, X[:, 0]])) > 0.9


@pytest.mark.parametrize(
    "column",
    [
        RANDOM.rand(300) < 0.3,
        RANDOM.randint(0, 5, 300),
        np.where(RANDOM.rand(300) < 0.5, 0.0, X[:, 0]),
    ],
)
def test_columns_of_few_values_are_named(column):
    with pytest.warns(ColumnWarning, match="column 'b' takes few"):
        warn_few_values(np.c_[X[:, 0], column], NAMES[:2])


def test_measures_and_small_tables_have_no_few_values():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_few_values(np.c_[X, X.round(1)], NAMES)
        warn_few_values(np.arange(12).repeat(2).reshape(-1, 1), NAMES)


@pytest.mark.parametrize("value", [1e3, -99999.0, 1e6])
def test_a_stray_row_does_not_set_the_scale(value):
    stray = np.r_[X, [[value, 0.0]]]
    with pytest.warns(ColumnWarning, match=re.escape(f"column 'a' holds {value:.6g}")):
        warn_stray(stray, NAMES)
    _, scale, far = robust_statistics(stray)
    assert far.tolist() == [True, False]
    assert 2 < scale[0] < 6


@pytest.mark.parametrize("unit", [1e160, 1e-160])
def test_scales_of_any_magnitude(unit):
    loc, scale, _ = robust_statistics(X * unit)
    np.testing.assert_allclose(loc, X.mean(0) * unit, rtol=1e-9, atol=1e-9 * unit)
    np.testing.assert_allclose(scale, X.std(0) * unit, rtol=1e-12)


def test_units_that_regularisation_drowns():
    with pytest.warns(ColumnWarning, match=r"reg_covar=1e-06 is more than 1 % .* 'a', 'b'"):
        warn_regularised(X * 1e-4, np.zeros(2, bool), NAMES[:2], 1e-6)
    with pytest.warns(ColumnWarning, match="lower reg_covar"):
        GaussianMixture(2, random_state=0).fit(X * 1e-4)


@pytest.mark.parametrize("offset", [1e9, 1.7e9, -1e10])
def test_a_gaussian_mixture_at_a_large_offset(offset):
    ours = GaussianMixture(2, random_state=0).fit(X + offset)
    theirs = SklearnMixture(2, random_state=0).fit(X + offset)
    assert adjusted_rand_score(Y, ours.predict(X + offset)) > 0.95
    assert ours.score(X + offset) == pytest.approx(theirs.score(X + offset), abs=0.01)


def test_warm_starts_of_one_step_converge():
    ours = GaussianMixture(2, warm_start=True, max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = next(i for i in range(20) if ours.fit(X).converged_)
    assert fits > 0
    np.testing.assert_allclose(ours.precisions_ @ ours.covariances_, [np.eye(2)] * 2, atol=1e-9)


@pytest.mark.parametrize("name", MAKES)
def test_what_a_process_has_set_of_torch_changes_no_bit(name):
    usual = MAKES[name]().fit(X).score(X)
    torch.set_default_dtype(torch.float64)
    try:
        half = torch.autocast("cpu", torch.bfloat16)
        with torch.device("meta"), torch.inference_mode(), torch.no_grad(), half:
            assert MAKES[name]().fit(X).score(X) == usual
            assert torch.zeros(1).device.type == "meta"
        assert torch.zeros(1).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", [*MAKES, "gaussians"])
def test_a_fit_that_is_refused_leaves_the_one_before(name):
    model = GaussianMixture(2, random_state=0) if name == "gaussians" else MAKES[name]()
    before = model.fit(X).score(X)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((200, 5), np.nan))
    with pytest.raises(ValueError, match="random_state"):
        model.set_params(random_state="odd").fit(X[:, :1])
    assert model.score(X) == before


def test_more_components_than_trained_rows():
    with pytest.raises(ValueError, match="120 components, but 102 of the 120 rows are trained on"):
        FlowMixture(120, random_state=0).fit(RANDOM.randn(120, 2))


def test_draws_and_labels_that_are_none():
    mixture = GaussianMixture(2, random_state=0).fit(X)
    for wrong in (1e3, True, 0):
        with pytest.raises(ValueError, match="n_samples must be"):
            mixture.sample(wrong)
    with pytest.raises(ValueError, match=r"component must be in 0..1 or None, got 1.0"):
        mixture.sample(5, component=1.0)
    with pytest.raises(ValueError, match="y has the shape"):
        mixture.fit(X, 1)
    assert mixture.sample(np.int64(3))[0].shape == (3, 2)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_forked_process_has_one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with multiprocessing.get_context("fork").Pool(1) as pool:
            assert pool.apply_async(torch.get_num_threads).get(timeout=60) == 1
    finally:
        torch.set_num_threads(before)
