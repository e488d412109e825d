"""One flow as density: what it starts as, supports, contexts, files."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from anabranch import FlowDensity, load, save
from anabranch.data import load_sklearn
from anabranch.estimators.column_warnings import ConstantColumnWarning
from anabranch.estimators.flow_density import AffineFlowWarning
from anabranch.estimators.supports import emptiest
from anabranch.problems import Mixture1D
from tests.estimators.data import bent, picture

MAF = {"name": "maf", "n_layers": 2, "hidden": [16]}
X, LABELS = bent(600)
CLASSES = np.eye(2)[LABELS]


def quick(flow=MAF, **changes):
    settings = {"max_epochs": 12, "batch_size": 100, "learning_rate": 0.01, "random_state": 0}
    return FlowDensity(flow, **{**settings, **changes})


# --- scikit-learn -------------------------------------------------------------------------------


def impossible(estimator):
    """Other rows are held out where rows are repeated, and other batches drawn."""
    why = "the loss of a batch is that of repeated rows, and not which rows are drawn"
    return {"check_sample_weight_equivalence_on_dense_data": why}


# check_array_api_input skips itself: it runs only where SCIPY_ARRAY_API is set.
@parametrize_with_checks([FlowDensity(MAF, max_epochs=3)], expected_failed_checks=impossible)
def test_check_estimator(estimator, check):
    check(estimator)


def test_it_has_no_clusters():
    density = quick().fit(X, LABELS)
    for name in ("predict", "predict_proba", "fit_predict", "n_components_", "weights_"):
        assert not hasattr(density, name)
    assert density.sample(7).shape == (7, 2)


def test_settings_survive_cloning_and_searching():
    settings = quick(support={1: (0, None)}, n_init=2).get_params()
    assert clone(FlowDensity(**settings)).get_params() == settings
    search = GridSearchCV(quick(), {"max_epochs": [0, 12]}, cv=2).fit(X)
    assert search.best_params_ == {"max_epochs": 12}


@pytest.mark.parametrize("given", ["plain", "context", "levels"])
def test_criteria_are_their_formulas(given):
    rows = X if given != "levels" else picture()[0]
    context = {"context": CLASSES} if given == "context" else {}
    density = quick(max_epochs=1, levels=8 if given == "levels" else None).fit(rows, **context)
    total, p, n = density.score_samples(rows, **context).sum(), density._n_parameters(), len(rows)
    assert math.isclose(density.score(rows, **context), total / n, rel_tol=1e-12)
    assert math.isclose(density.aic(rows, **context), 2 * p - 2 * total, rel_tol=1e-12)
    assert math.isclose(density.bic(rows, **context), p * math.log(n) - 2 * total, rel_tol=1e-12)
    assert math.isclose(density.mdl(rows, **context) * 2, density.bic(rows, **context))


# --- the start ----------------------------------------------------------------------------------


@pytest.mark.parametrize("flow", [None, MAF], ids=["none", "maf"])
def test_untrained_it_is_the_gaussian(flow):
    density = quick(flow, max_epochs=0).fit(X, X_val=X)
    expected = stats.multivariate_normal(X.mean(0), np.cov(X.T)).logpdf(X)
    assert np.allclose(density.score_samples(X), expected, atol=0.03)


@pytest.mark.parametrize("flow", [None, MAF], ids=["none", "maf"])
def test_untrained_with_a_context_it_is_the_regression(flow):
    random = np.random.RandomState(1)
    C = random.randn(3000, 2) * [1.0, 100.0] + [0.0, 5000.0]
    noise = random.randn(3000, 2) @ np.array([[1.0, 0.8], [0.0, 0.5]])
    Y = np.stack([3 * C[:, 0], 7 - 0.02 * C[:, 1]], 1) + noise
    density = quick(flow, max_epochs=0).fit(Y, context=C)
    fitted = np.stack([3 * C[:, 0], 7 - 0.02 * C[:, 1]], 1)
    expected = stats.multivariate_normal(np.zeros(2), np.cov(noise.T)).logpdf(Y - fitted)
    assert abs(density.score_samples(Y, C) - expected).mean() < 0.06


def test_classes_that_sum_to_one_are_no_harm():
    density = quick(max_epochs=0).fit(X, context=CLASSES)
    means = density.model_.transform.transforms[0].conditioner.last
    assert abs(means.weight.detach().numpy()).max() < 2
    assert density.score(X, context=CLASSES) > quick(max_epochs=0).fit(X).score(X)


def test_on_gaussian_data_it_stays_gaussian():
    random = np.random.RandomState(5)
    few, many = random.randn(120, 4), random.randn(20_000, 4)
    density = quick(max_epochs=40).fit(few)
    assert density.score(many) == quick(None).fit(few).score(many)
    assert density._n_parameters() == 14
    assert quick(None).fit(few).n_iter_ == 0
    for other in ("rnade", {"name": "nice", "base": "logistic"}):
        density = quick(other, max_epochs=0).fit(few)  # which do not start as a Gaussian
        assert density.score(many) == quick(None).fit(few).score(many)


# --- densities ----------------------------------------------------------------------------------


def mass(density, axes, **given):
    """The integral over a box by the midpoint rule."""
    middle = [(axis[1:] + axis[:-1]) / 2 for axis in axes]
    points = np.stack([m.ravel() for m in np.meshgrid(*middle)], 1)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    given = {name: np.repeat([value], len(points), axis=0) for name, value in given.items()}
    return np.exp(density.score_samples(points, **given)).sum() * cell


def test_it_bends():
    density = quick(max_epochs=60).fit(X)
    assert density.score(bent(2000, seed=1)[0]) > quick(max_epochs=0).fit(X).score(X) + 0.4
    axes = [np.linspace(-8, 8, 400), np.linspace(-8, 8, 400)]
    assert abs(mass(density, axes) - 1) < 0.01


def test_latents_are_normal_and_come_back():
    density = quick(max_epochs=60).fit(X)
    Z = density.transform(X)
    assert abs(Z.mean(0)).max() < 0.15
    assert abs(np.cov(Z.T) - np.eye(2)).max() < 0.2
    assert np.allclose(density.inverse_transform(Z), X, atol=1e-4)
    names = density.get_feature_names_out().tolist()
    assert names == ["flowdensity0", "flowdensity1"]
    with_classes = quick().fit(X, context=CLASSES)
    Z = with_classes.transform(X, context=CLASSES)
    assert np.allclose(with_classes.inverse_transform(Z, context=CLASSES), X, atol=1e-4)


def test_where_nothing_undoes_a_flow_it_says_so():
    density = quick({"name": "rad", "n_folds": 1}).fit(X)
    with pytest.raises(ValueError, match="is no bijection"):
        density.inverse_transform(density.transform(X))


@pytest.mark.parametrize("name", ["made", "flow_mixture", "tabak_turner"])
def test_what_is_no_density_of_such_rows_is_refused(name):
    with pytest.raises((ValueError, TypeError), match=r"no density|no keyword|no context"):
        quick(name).fit(X, context=CLASSES if name == "tabak_turner" else None)


def test_integers_are_dequantized():
    rows, _ = picture()
    density = quick(levels=8).fit(rows)
    drawn = density.sample(200)
    assert set(np.unique(drawn)) <= set(range(8))
    every = np.stack([m.ravel() for m in np.meshgrid(*[np.arange(8)] * 4)], 1)
    total = np.exp(density.score_samples(every)).sum()
    assert 0.8 < total < 1.2  # one draw of the noise for each cell
    assert (density.score_samples(rows) == density.score_samples(rows)).all()


# --- supports -----------------------------------------------------------------------------------


def wrapped(n=1500, seed=0):
    """A positive column, one in the unit interval, and an angle around zero."""
    random = np.random.RandomState(seed)
    size = np.exp(0.5 * random.randn(n))
    share = 1 / (1 + np.exp(-random.randn(n) - np.log(size)))
    return np.stack([size, share, np.remainder(random.vonmises(0, 2, n), math.tau)], 1)


SUPPORT = {0: "positive", 1: "unit", 2: "angle"}


def test_supports_hold():
    rows = wrapped()
    density = quick(support=SUPPORT, fit_options={"keep": "last"}).fit(rows)
    drawn = density.sample(3000)
    assert (drawn > 0).all()
    assert (drawn[:, 1] < 1).all()
    assert (drawn[:, 2] < math.tau).all()
    truth = (
        stats.lognorm.logpdf(rows[:, 0], 0.5)
        + stats.norm.logpdf(np.log(rows[:, 1] / (1 - rows[:, 1])), np.log(rows[:, 0]))
        - np.log(rows[:, 1] * (1 - rows[:, 1]))
        + stats.vonmises.logpdf(rows[:, 2], 2)
    )
    assert density.score(rows) > truth.mean() - 0.1
    assert density.score(rows) > quick().fit(rows).score(rows) + 0.4
    for j in range(3):
        assert stats.ks_2samp(rows[:, j], drawn[:, j]).statistic < 0.08


@pytest.mark.parametrize(
    ("column", "kind", "axis"),
    [
        (0, "positive", np.linspace(0, 60, 60_001)),
        (1, "unit", np.linspace(0, 1, 20_001)),
        (1, (None, 1), np.linspace(-30, 1, 60_001)),
    ],
)
def test_the_density_is_one_in_its_support(column, kind, axis):
    with pytest.warns(AffineFlowWarning):
        density = quick(support={0: kind}).fit(wrapped()[:, [column]])
    assert abs(mass(density, [axis]) - 1) < 2e-3


def test_the_density_of_a_circle_is_one_over_it():
    density = quick(support={0: "angle"}).fit(wrapped()[:, [2]])
    assert abs(mass(density, [np.linspace(0, math.tau, 2001)]) - 1) < 1e-3


def test_a_circle_wraps_and_is_not_cut_open():
    rows = wrapped()[:, [0, 2]]
    density = quick(support={1: "angle"}).fit(rows)
    turned = rows - np.array([0, math.tau])
    assert np.allclose(density.score_samples(turned), density.score_samples(rows), atol=1e-4)
    ends = density.score_samples([[1.0, 0.0], [1.0, math.tau]])
    assert ends[0] == pytest.approx(ends[1], abs=1e-5)
    centred = rows - np.array([0, math.pi])
    drawn = quick(support={1: "angle"}).fit(centred).sample(500)[:, 1]
    assert drawn.min() < 0
    assert (abs(drawn) <= math.pi).all()
    with pytest.raises(ValueError, match=r"'x1' must lie between .* 6\.28319: .* of 1500"):
        quick(support={1: "angle"}).fit(np.degrees(rows))


def test_the_emptiest_place():
    random = np.random.RandomState(0)
    half = random.uniform(1.0, 3.0, 500)
    assert 0.0 <= np.remainder(emptiest(half, math.tau) - 3.0, math.tau) <= math.tau - 2.0
    assert math.isclose(emptiest(np.array([350.0, 10.0]), 360.0), 180.0)
    # a full circle: no accident of a gap in its dense half
    full = np.concatenate([random.uniform(0, 180, 9000), random.uniform(180, 360, 1000)])
    assert 180 <= emptiest(full, 360.0) <= 360


def test_columns_are_told_by_name():
    frame = pd.DataFrame(wrapped(300), columns=["size", "share", "angle"])
    by_name = {"size": "positive", "share": [0, 1], "angle": {"period": math.tau}}
    one, other = quick(support=by_name).fit(frame), quick(support=SUPPORT).fit(frame)
    assert (one.score_samples(frame) == other.score_samples(frame)).all()


@pytest.mark.parametrize(
    ("support", "message"),
    [
        ("unit", "support must be a dict"),
        ({3: "unit"}, "support names column 3; there are 3: x0, x1, x2"),
        ({"a": "unit"}, "support names column 'a'"),
        ({0: "unit", "x0": "unit"}, "names column 'x0' twice"),
        ({0: "circle"}, "must be 'positive', 'unit', .* got 'circle'"),
        ({0: (1, 0)}, r"must be .* got \(1, 0\)"),
        ({0: {"period": -1}}, "must be .* got {'period': -1}"),
        ({0: "unit"}, "column 'x0' must lie between 0 and 1: .* of 300 values do not, such as"),
        ({2: (1, None)}, "column 'x2' must lie above 1: .* of 300 values do not"),
    ],
)
def test_wrong_supports_are_refused(support, message):
    with pytest.raises(ValueError, match=message):
        quick(support=support).fit(wrapped(300))


def test_values_outside_are_refused_later_too():
    density = quick(max_epochs=1, support=SUPPORT).fit(wrapped(300))
    with pytest.raises(ValueError, match="'x0' must lie above 0: 2 of 3 values do not, such as 0"):
        density.score_samples([[0.0, 0.5, 1.0], [1.0, 0.5, 9.0], [-1.0, 0.5, 1.0]])
    with pytest.raises(ValueError, match="'x1' must lie between 0 and 1: 1 of 1"):
        density.score_samples([[1.0, 1.0, 1.0]])
    rows = wrapped(300)
    bad = rows.copy()
    bad[0, 0] = -1
    with pytest.raises(ValueError, match="'x0' must lie above 0: 1 of 300"):
        quick(support=SUPPORT).fit(rows, X_val=bad)
    with pytest.raises(ValueError, match="integers have theirs by levels"):
        quick(levels=8, support={0: "positive"}).fit(picture()[0])


# --- contexts -----------------------------------------------------------------------------------


def test_each_class_has_its_density():
    density = quick(max_epochs=40).fit(X, context=CLASSES)
    plain = quick(max_epochs=40).fit(X)
    assert density.score(X, context=CLASSES) > plain.score(X) + 0.3
    for k in (0, 1):
        own = np.eye(2)[k]
        drawn = density.sample(400, context=own)
        assert abs(drawn.mean(0) - X[k == LABELS].mean(0)).max() < 0.1
        axes = [np.linspace(-8, 8, 300), np.linspace(-8, 8, 300)]
        assert abs(mass(density, axes, context=own) - 1) < 0.01
    each = density.sample(len(X), context=CLASSES)
    assert abs(each[LABELS == 1].mean(0) - X[LABELS == 1].mean(0)).max() < 0.15
    assert (density.sample(5, context=[own]) == density.sample(5, context=own)).all()


def test_the_units_of_a_context_do_not_matter():
    C = LABELS[:, None] + np.random.RandomState(0).rand(len(X), 1)
    one = quick(max_epochs=3).fit(X, context=C)
    other = quick(max_epochs=3).fit(X, context=1000 * C - 7e4)
    assert np.allclose(one.score_samples(X, C), other.score_samples(X, 1000 * C - 7e4), atol=1e-3)


def test_wrong_contexts_are_refused():
    density, plain = quick(max_epochs=1).fit(X, context=CLASSES), quick(max_epochs=1).fit(X)
    with pytest.raises(ValueError, match="given 2 columns of context"):
        density.score_samples(X)
    with pytest.raises(ValueError, match="context is required"):
        density.sample(3)
    for call in (plain.score_samples, plain.transform):
        with pytest.raises(
            ValueError, match="context is given, but the density was fitted without"
        ):
            call(X, context=CLASSES)
    with pytest.raises(ValueError, match="fitted without"):
        plain.sample(2, context=[1, 0])
    with pytest.raises(ValueError, match="context has 3 rows, expected 600"):
        density.score_samples(X, CLASSES[:3])
    with pytest.raises(ValueError, match="context must have 2 columns, got 1"):
        density.score_samples(X, CLASSES[:, :1])
    with pytest.raises(ValueError, match=r"context must be a table of shape \(n, C\), got shape"):
        density.score_samples(X, LABELS)
    with pytest.raises(ValueError, match="context holds NaN or infinity in 1 of 2 columns: 'c1'"):
        quick().fit(X, context=np.where(np.arange(1200).reshape(600, 2) == 3, np.nan, CLASSES))
    with pytest.raises(ValueError, match="context_val goes with X_val"):
        quick().fit(X, context=CLASSES, context_val=CLASSES)
    with pytest.raises(ValueError, match="context is required"):
        quick().fit(X, context=CLASSES, X_val=X)
    with pytest.raises(ValueError, match="context has 2 rows, expected 3"):
        density.sample(3, context=CLASSES[:2])
    with pytest.warns(ConstantColumnWarning, match="context c0 does not vary"):
        quick(max_epochs=1).fit(X, context=np.ones((600, 1)))


def test_names_of_a_context_are_kept(tmp_path):
    frame = pd.DataFrame(CLASSES, columns=["up", "down"])
    density = quick(max_epochs=2).fit(X, context=frame)
    assert (density.score_samples(X, frame) == density.score_samples(X, CLASSES)).all()
    save(density, tmp_path / "model")
    with pytest.raises(ValueError, match=r"must have the columns \['up', 'down'\], got"):
        load(tmp_path / "model").score_samples(X, frame[["down", "up"]])


# --- one column ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_column_gets_a_free_shape_by_default():
    random = np.random.RandomState(0)
    rows = np.concatenate([random.randn(1500) - 3, 0.5 * random.randn(1500) + 2])[:, None]
    density = quick("nsf", max_epochs=60).fit(rows)
    truth = np.logaddexp(stats.norm.logpdf(rows, -3), stats.norm.logpdf(rows, 2, 0.5)) - np.log(2)
    assert density.score(rows) > truth.mean() - 0.05
    assert abs(mass(density, [np.linspace(-30, 30, 20_001)]) - 1) < 1e-3


def test_sic_follows_the_distribution_function_and_not_the_likelihood(tmp_path):
    rows, _ = Mixture1D().sample(600, random_state=3)
    settings = {"max_epochs": 150, "learning_rate": 0.03, "hedge": False, "random_state": 0}
    settings["fit_options"] = {"keep": "last", "patience": None}
    density = FlowDensity("sic", **settings).fit(rows, sample_weight=np.ones(600))
    assert {"validation_squared_error", "validation_nll"} <= set(density.history_[-1])
    save(density, tmp_path / "model")
    grid = np.linspace(-5, 5, 801)[:, None]
    found = np.exp(load(tmp_path / "model").score_samples(grid)).cumsum() * (grid[1] - grid[0])
    assert np.abs(found - Mixture1D().cdf(grid[:, 0])).max() < 0.06
    twice = FlowDensity("sic", n_init=2, **settings | {"max_epochs": 2}).fit(rows)
    assert np.isfinite(twice.score(rows))


def test_sic_is_for_one_column():
    with pytest.raises(ValueError, match="recipe 'sic' is for one column, got features=2"):
        FlowDensity("sic").fit(np.random.default_rng(0).normal(size=(50, 2)))


def test_one_column_of_affine_maps_is_told_to_be_a_gaussian():
    with pytest.warns(AffineFlowWarning, match="cannot bend one column"):
        quick().fit(X[:, :1])


# --- files and resuming -------------------------------------------------------------------------

CASES = {
    "plain": (X, {}, {}),
    "cosine": (X, {"fit_options": {"patience": None}}, {}),
    "context": (X, {}, {"context": CLASSES}),
    "support": (wrapped(200), {"support": SUPPORT}, {}),
    "levels": (picture()[0], {"levels": 8}, {}),
    "gaussian": (X, {"flow": None}, {}),
    "frame": (pd.DataFrame(X, columns=["a", "b"]), {"n_init": 2}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_loaded_it_answers_with_the_same_bits(tmp_path, case):
    rows, settings, given = CASES[case]
    density = quick(**{"max_epochs": 3, **settings}).fit(rows, **given)
    save(density, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert (loaded.score_samples(rows, **given) == density.score_samples(rows, **given)).all()
    one = {name: value[0] for name, value in given.items()}
    assert (loaded.sample(20, **one) == density.sample(20, **one)).all()
    assert loaded.bic(rows, **given) == density.bic(rows, **given)
    assert json.dumps(loaded.get_params()) == json.dumps(density.get_params())
    for name in ("lower_bound_", "converged_", "n_iter_"):
        assert getattr(loaded, name) == getattr(density, name)
    again = loaded.fit(rows, **given)
    assert (again.score_samples(rows, **given) == density.score_samples(rows, **given)).all()


def test_without_patience_the_rate_falls_to_almost_nothing():
    density = quick(fit_options={"patience": None}, max_epochs=25).fit(X)
    rates = [entry["learning_rate"] for entry in density.history_]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 0.01
    assert density.fit_result_.stopped == "max_epochs"
    assert density.n_iter_ == 25
    last = quick(max_epochs=25, fit_options={"min_evaluation_steps": 1, "patience": None}).fit(X)
    halfway = [e["learning_rate"] for e in last.history_ if e["epoch"] == 13]
    assert 0.003 < halfway[0] < 0.007


@pytest.mark.parametrize("case", ["plain", "context", "levels", "frame"])
def test_a_resumed_fit_ends_with_the_same_bits(tmp_path, case):
    rows, settings, given = CASES[case]
    whole = quick(**{"max_epochs": 6, **settings}).fit(rows, **given)
    options = {"fit_options": {"checkpoint": str(tmp_path / "state")}}
    quick(**{"max_epochs": 3, **settings, **options}).fit(rows, **given)
    resumed = quick(**{"max_epochs": 6, **settings, **options}).fit(rows, **given, resume=True)
    assert (resumed.score_samples(rows, **given) == whole.score_samples(rows, **given)).all()
    assert len(resumed.history_) == len(whole.history_)
    other = quick(**{"max_epochs": 6, "flow": MAF, **settings, **options, "random_state": 1})
    with pytest.raises(ValueError, match="another run"):
        other.fit(rows, **given, resume=True)


def test_same_seed_same_bits():
    one, other = quick().fit(X), quick().fit(X)
    assert (one.score_samples(X) == other.score_samples(X)).all()
    assert (quick(random_state=1).fit(X).score_samples(X) != one.score_samples(X)).any()


# --- other bad input ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_init": 0}, "n_init must be an integer of at least 1"),
        ({"fit_options": {"validation_fraction": 1.0}}, r"validation_fraction must be in \(0, 1\)"),
        ({"reg_covar": 0.0}, "reg_covar must be a positive number"),
        ({"learning_rate": "fast"}, "learning_rate must be 'auto' or a positive number"),
        (
            {"fit_options": {"patience": -1}},
            "patience must be an integer of at least 0 or None, got -1",
        ),
        ({"flow": "mafs"}, "unknown recipe 'mafs'"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        quick(**settings).fit(X)


def test_rows_at_fault_are_named():
    with pytest.raises(ValueError, match="X holds NaN or infinity in 1 of 2 columns: 'x1'"):
        quick().fit(np.where(X[3, 1] == X, np.nan, X))
    with pytest.warns(ConstantColumnWarning):
        density = quick(max_epochs=1).fit(np.column_stack([X, np.ones(len(X))]))
    assert np.isfinite(density.score(np.column_stack([X, np.ones(len(X))])))
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        density.sample(0)


def test_a_small_real_table_is_no_worse_than_its_gaussian():
    rows = load_sklearn("wine").X
    train, test = rows[::2], rows[1::2]
    assert (
        quick(max_epochs=30).fit(train).score(test)
        >= quick(max_epochs=0).fit(train).score(test) - 0.5
    )
