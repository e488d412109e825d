"""Tables as they are: columns of several kinds and missing cells, for both mixtures."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.integrate import trapezoid
from scipy.stats import norm

from anabranch import FlowMixture, GaussianMixture, load, save
from anabranch.estimators.column_warnings import ColumnWarning
from anabranch.metrics import clustering_accuracy
from tests.estimators.data import FLOW

COLUMNS = {"hour": ("circle", 24), "visits": "count"}


def table(n=300, seed=0, share=0.0):
    """Two clusters in columns of all kinds, with gaps; and which is which."""
    random = np.random.RandomState(seed)
    labels = np.arange(n) % 2
    frame = pd.DataFrame(
        {
            "length": random.randn(n) + 4 * labels,
            "income": np.exp(2 * random.randn(n) + 8 + labels),
            "smoker": random.uniform(size=n) < np.where(labels, 0.1, 0.7),
            "city": np.where(labels, random.choice(["a", "b"], n), random.choice(["b", "c"], n)),
            "visits": random.poisson(15 + 10 * labels),
            "hour": (6 + 8 * labels + 2 * random.randn(n)) % 24,
        }
    )
    for name in ("length", "income", "city", "hour"):
        frame.loc[random.uniform(size=n) < share, name] = None
    return frame, labels


def gaussians(**changes):
    return GaussianMixture(2, **{"columns": COLUMNS, "random_state": 0, **changes})


def flows(**changes):
    settings = {"columns": COLUMNS, "random_state": 0, "flow": FLOW, "max_epochs": 3}
    settings |= {"init_params": "kmeans", "covariance_type": "full"}
    settings["fit_options"] = {"keep": "last"}
    return FlowMixture(2, **settings | changes)


BOTH = pytest.mark.parametrize("make", [gaussians, flows], ids=["gaussians", "flows"])


@BOTH
def test_clusters_and_rows_of_a_mixed_table(make):
    frame, labels = table()
    mixture = make().fit(frame)
    assert clustering_accuracy(labels, mixture.predict(frame)) > 0.95
    assert mixture.predict_proba(frame).sum(1) == pytest.approx(np.ones(300))
    drawn, components = mixture.sample(200, random_state=1)
    assert drawn.dtypes.equals(frame.dtypes)
    assert set(drawn["city"]) <= {"a", "b", "c"}
    assert (drawn["income"] > 0).all()
    assert (drawn["visits"] >= 0).all()
    assert drawn["hour"].between(0, 24).all()
    # the categories are those of the component
    smokers = drawn["smoker"].groupby(components).mean()
    expected = frame["smoker"].groupby(mixture.predict(frame)).mean()
    assert smokers.to_numpy() == pytest.approx(expected.to_numpy(), abs=0.15)


@BOTH
def test_missing_cells_are_summed_out(make):
    frame, labels = table(share=0.3)
    mixture = make(missing="marginal").fit(frame)
    assert clustering_accuracy(labels, mixture.predict(frame)) > 0.9
    scores = mixture.score_samples(frame)
    assert np.isfinite(scores).all()
    assert (mixture.missing_cells(frame) == frame.isna().sum(axis=1)).all()
    nothing = frame.iloc[:2].copy()
    nothing[["length", "income", "city", "hour", "smoker"]] = None
    assert np.isfinite(mixture.score_samples(nothing)).all()
    # the same row by itself
    assert mixture.score_samples(frame[5:9]) == pytest.approx(scores[5:9], abs=1e-4)
    with pytest.raises(ValueError, match=r"X holds NaN in 4 columns: 'length' \(\d+\), .*marginal"):
        make().fit(frame)


@BOTH
def test_a_model_file_holds_the_kinds(make, tmp_path):
    frame, _ = table(120, share=0.2)
    mixture = make(missing="marginal").fit(frame)
    save(mixture, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert (again.score_samples(frame) == mixture.score_samples(frame)).all()
    assert again.facts()["kinds"]["city"] == "category"
    drawn = again.sample(5, random_state=0)[0]
    pd.testing.assert_frame_equal(drawn, mixture.sample(5, random_state=0)[0])
    assert again.bic(frame) == mixture.bic(frame)


def test_the_score_is_a_density_times_a_probability():
    """One component of one real and one binary column is known in closed form."""
    random = np.random.RandomState(0)
    frame = pd.DataFrame({"x": random.randn(500), "k": random.uniform(size=500) < 0.3})
    mixture = GaussianMixture(1, columns="auto", reg_covar=0.0).fit(frame)
    density = norm(frame["x"].mean(), frame["x"].std(ddof=0)).logpdf(frame["x"])
    share = mixture.categories_["k"][0, 1]
    assert share == pytest.approx(frame["k"].mean(), abs=0.002)
    expected = density + np.log(np.where(frame["k"], share, 1 - share))
    assert mixture.score_samples(frame) == pytest.approx(expected, abs=1e-6)
    assert mixture.means_[0, 0] == pytest.approx(frame["x"].mean())
    assert mixture.covariances_[0, 0, 0] == pytest.approx(frame["x"].var(ddof=0))
    # 2 of a Gaussian and 1 of a binary
    n_parameters = (mixture.bic(frame) + 2 * expected.sum()) / np.log(500)
    assert n_parameters == pytest.approx(3, abs=1e-6)


def test_densities_are_in_the_units_of_the_data():
    """A positive column integrates to one over its own axis, a circle over its period."""
    frame, _ = table()
    one = GaussianMixture(1, columns={"income": "positive"}).fit(frame[["income"]])
    grid = np.exp(np.linspace(-5, 25, 4000))
    density = np.exp(one.score_samples(pd.DataFrame({"income": grid})))
    assert trapezoid(density, grid) == pytest.approx(1, abs=1e-3)
    turn = GaussianMixture(2, columns=COLUMNS | {"visits": "real"}).fit(frame[["hour", "visits"]])
    assert (turn.sample(50)[0]["hour"] < 24).all()


def test_a_flow_of_a_table_is_better_where_its_columns_are_bent():
    random = np.random.RandomState(0)
    angle = random.uniform(0, np.pi, 1500)
    kind = random.uniform(size=1500) < 0.4
    arc = np.c_[np.cos(angle), np.sin(angle)] * np.where(kind, 1, -1)[:, None]
    frame = pd.DataFrame(arc + 0.05 * random.randn(1500, 2), columns=["a", "b"]).assign(kind=kind)
    settings = {"columns": "auto", "random_state": 0, "init_params": "kmeans"}
    flow = FlowMixture(2, max_epochs=40, **settings).fit(frame[:1000])
    start = FlowMixture(2, max_epochs=0, **settings).fit(frame[:1000])
    assert flow.score(frame[1000:]) > start.score(frame[1000:]) + 0.3


def test_the_flag_case():
    """Two clusters and a flag that has nothing to do with them: the flag does not take them."""
    random = np.random.RandomState(0)
    labels = np.arange(600) % 2
    X = np.c_[random.randn(600, 2) + 6 * labels[:, None] * [1, 0], random.uniform(size=600) < 0.3]
    mixture = flows(columns="auto").fit(X)
    assert clustering_accuracy(labels, mixture.predict(X)) > 0.98
    assert set(mixture.sample(50)[0][:, 2]) == {0.0, 1.0}


def test_categories_alone():
    frame, labels = table()
    only = frame[["smoker", "city"]]
    mixture = GaussianMixture(2, columns="auto", random_state=0, n_init=3).fit(only)
    assert clustering_accuracy(labels, mixture.predict(only)) > 0.7
    assert mixture.sample(3)[0].dtypes.equals(only.dtypes)
    with pytest.raises(ValueError, match="a FlowMixture needs one for its flows"):
        FlowMixture(2, columns="auto").fit(only)


def test_gaps_of_plain_numbers():
    random = np.random.RandomState(0)
    labels = np.arange(200) % 2
    X = random.randn(200, 3) + 5 * labels[:, None]
    whole = GaussianMixture(2, random_state=0).fit(X)
    X[random.uniform(size=X.shape) < 0.2] = np.nan
    gaps = GaussianMixture(2, missing="marginal", random_state=0).fit(X)
    assert clustering_accuracy(labels, gaps.predict(X)) > 0.97
    assert np.sort(gaps.means_, 0) == pytest.approx(np.sort(whole.means_, 0), abs=0.3)
    masked = GaussianMixture(2, missing="marginal", random_state=0).fit(np.ma.masked_invalid(X))
    assert (masked.means_ == gaps.means_).all()


def test_labels_teach_a_mixed_table():
    frame, labels = table(share=0.2)
    known = np.where(np.arange(300) < 60, 1 - labels, -1)
    for make in (gaussians, flows):
        mixture = make(missing="marginal").fit(frame, known)
        assert (mixture.predict(frame) == 1 - labels).mean() > 0.9


def test_a_start_by_responsibilities_of_another_model():
    frame, _ = table()
    start = gaussians().fit(frame)
    mixture = flows(max_epochs=0, init_params="auto", start=start).fit(frame)
    assert mixture.start_ == "given"
    assert (mixture.predict(frame) == start.predict(frame)).mean() > 0.97


def test_a_fit_goes_on_where_it_ended():
    frame, _ = table(share=0.2)
    first = flows(missing="marginal").fit(frame)
    again = flows(missing="marginal", max_epochs=0, start=first).fit(frame)
    assert again.score_samples(frame) == pytest.approx(first.score_samples(frame), abs=1e-4)


def test_constants_and_names_of_rows_are_left_out():
    frame, _ = table(100)
    frame = frame.assign(one="always", name=[f"row {i}" for i in range(100)])
    with pytest.warns(ColumnWarning) as caught:
        mixture = gaussians().fit(frame)
    messages = " ".join(str(warning.message) for warning in caught)
    assert "'one'" in messages
    assert "'name'" in messages
    assert list(mixture.sample(2)[0].columns) == [*table(2)[0].columns, "one"]


def test_polars_in_and_out():
    frame, _ = table(120)
    given = pl.from_pandas(frame)
    mixture = gaussians().fit(given)
    assert mixture.sample(4)[0].schema == given.schema
    assert mixture.score_samples(given) == pytest.approx(
        gaussians().fit(frame).score_samples(frame)
    )


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        (gaussians, {"missing": "drop"}, "missing must be"),
        (flows, {"missing": "drop"}, "missing must be"),
        (gaussians, {"columns": {"nose": "real"}}, "columns names column 'nose'"),
        (gaussians, {"n_components": "auto"}, "need a number of components"),
        (gaussians, {"means_init": [[0.0]]}, "do not go with means_init"),
        (flows, {"model_options": {"levels": 8}}, "levels is for integers alone"),
        (flows, {"consistency": {"weight": 1.0}}, "do not go with consistency"),
    ],
)
def test_settings_that_do_not_go_together(make, changes, message):
    frame, _ = table(60)
    with pytest.raises(ValueError, match=message):
        make().set_params(**changes).fit(frame)


def test_another_category_is_refused_by_name():
    frame, _ = table(60)
    mixture = gaussians().fit(frame)
    with pytest.raises(
        ValueError, match="column 'city' holds 'z', which is none of the categories"
    ):
        mixture.predict(frame.assign(city="z"))
    with pytest.raises(ValueError, match="feature names"):
        mixture.predict(frame.rename(columns={"city": "town"}))
