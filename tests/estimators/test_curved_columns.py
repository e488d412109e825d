"""Angles and places on the earth among the columns: nothing is cut open."""

import numpy as np
import pandas as pd
import pytest

from anabranch import FlowDensity, FlowMixture, load, save
from anabranch.algorithms.directions import from_degrees
from anabranch.metrics import clustering_accuracy

FLOW = {
    "name": "product_flow",
    "circle": {
        "name": "torus_flow",
        "circle_map": "moebius",
        "size": 4,
        "n_layers": 1,
        "hidden": [8],
    },
    "sphere": {"name": "sphere_flow", "size": 4, "bins": 4, "n_layers": 1, "hidden": [8]},
    "real": {"name": "maf", "n_layers": 1, "hidden": [8]},
}
# what is taught q in the end costs more than these flows
SMALL = {"posterior": {"name": "mlp", "hidden": [4]}}
COLUMNS = {"heading": ("circle", 360), "place": ("latlon", "lat", "lon")}


def travels(n=400, seed=0):
    """Two clusters: one with headings around north, which lies around the pole."""
    random = np.random.RandomState(seed)
    labels = np.arange(n) % 2
    towards = np.where(labels[:, None], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0])
    vectors = towards + 0.2 * random.randn(n, 3)
    x, y, z = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).T
    frame = pd.DataFrame(
        {
            "heading": (20 * random.randn(n) + 180 * labels) % 360,
            "lat": np.degrees(np.arcsin(z)),
            "lon": np.degrees(np.arctan2(y, x)),
            "speed": np.exp(0.3 * random.randn(n) + labels),
            "kind": np.where(random.uniform(size=n) < 0.2 + 0.6 * labels, "a", "b"),
        }
    )
    return frame, labels


def mixture(columns=COLUMNS, **changes):
    settings = {"flow": FLOW, "max_epochs": 4, "random_state": 0, "fit_options": {"keep": "last"}}
    given = {"n_components": 2, "columns": columns, "model_options": SMALL}
    return FlowMixture(**{**given, **settings, **changes})


@pytest.fixture(scope="module")
def fitted():
    frame, labels = travels()
    model = mixture({**COLUMNS, "speed": "positive", "kind": "category"})
    return model.fit(frame), frame, labels


def test_clusters_that_straddle_the_cut_and_the_pole_are_found_as_one(fitted):
    model, frame, labels = fitted
    assert clustering_accuracy(labels, model.predict(frame)) > 0.98
    start = mixture({**COLUMNS, "speed": "positive", "kind": "category"}, max_epochs=0).fit(frame)
    assert clustering_accuracy(labels, start.predict(frame)) > 0.98
    assert model.predict_proba(frame, method="network").shape == (400, 2)


def test_samples_are_in_the_units_of_the_table(fitted):
    model, frame, _ = fitted
    drawn, _ = model.sample(400, random_state=1)
    assert list(drawn.columns) == list(frame.columns)
    assert drawn["heading"].between(0, 360, inclusive="left").all()
    assert drawn["lat"].between(-90, 90).all()
    assert drawn["lon"].between(-180, 180).all()
    assert (drawn["speed"] > 0).all()
    assert set(drawn["kind"]) == {"a", "b"}
    for name in ("heading", "lon"):
        for wave in (np.cos, np.sin):
            near = wave(np.radians(frame[name])).mean()
            assert wave(np.radians(drawn[name])).mean() == pytest.approx(near, abs=0.15)


def test_nothing_jumps_at_the_cuts(fitted):
    model, frame, _ = fitted
    for name, ends in (("heading", (0.0, 360.0)), ("lon", (-180.0, 180.0))):
        sides = [model.score_samples(frame[:50].assign(**{name: end})) for end in ends]
        assert sides[0] == pytest.approx(sides[1], abs=1e-5)
    # at a pole all longitudes are one place
    poles = [model.score_samples(frame[:50].assign(lat=90.0, lon=lon)) for lon in (0, 77)]
    assert poles[0] == pytest.approx(poles[1], abs=1e-4)


def test_a_model_file_holds_the_spaces(fitted, tmp_path):
    model, frame, _ = fitted
    save(model, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert (again.score_samples(frame) == model.score_samples(frame)).all()
    pd.testing.assert_frame_equal(
        again.sample(5, random_state=0)[0], model.sample(5, random_state=0)[0]
    )
    assert again.facts()["kinds"]["lat"] == "latitude"
    assert again.bic(frame) == model.bic(frame)


def test_densities_are_in_the_units_of_the_data():
    """Over degrees of heading it is one, and over square degrees of the earth."""
    frame, _ = travels()
    angle = mixture({"heading": ("circle", 360)}).fit(frame[["heading"]])
    grid = np.arange(0, 360, 0.5)
    total = np.exp(angle.score_samples(pd.DataFrame({"heading": grid}))).sum() * 0.5
    assert total == pytest.approx(1, abs=1e-3)
    place = mixture({"place": ("latlon", "lat", "lon")}).fit(frame[["lat", "lon"]])
    lat, lon = np.meshgrid(np.arange(-89.5, 90), np.arange(-179.5, 180), indexing="ij")
    rows = pd.DataFrame({"lat": lat.ravel(), "lon": lon.ravel()})
    area = np.cos(np.radians(lat.ravel()))
    total = (np.exp(place.score_samples(rows)) * area).sum()
    assert total == pytest.approx(1, abs=5e-3)


def test_the_start_is_exact():
    """One component of one heading is von Mises, whose density is known."""
    frame, _ = travels()
    one = FlowMixture(1, columns={"heading": ("circle", 360)}, flow=None, max_epochs=0)
    rows = frame[["heading"]][::2]
    one.fit(rows, X_val=rows)
    vectors = np.exp(1j * np.radians(rows["heading"]))
    mean = vectors.mean()
    from scipy.stats import vonmises

    kappa = vonmises.fit(np.angle(vectors), fscale=1)[0]
    truth = vonmises.logpdf(np.angle(vectors), kappa, np.angle(mean)) + np.log(np.pi / 180)
    assert one.score_samples(rows) == pytest.approx(truth, abs=1e-3)


def test_labels_and_a_given_start():
    frame, labels = travels()
    y = np.where(np.arange(400) < 40, 1 - labels, -1)
    taught = mixture({**COLUMNS, "kind": "category"}, max_epochs=1).fit(frame, y)
    assert np.mean(taught.predict(frame) == 1 - labels) > 0.95
    given = mixture({**COLUMNS, "kind": "category"}, start=labels, max_epochs=0).fit(frame)
    assert np.mean(given.predict(frame) == labels) > 0.95
    on = mixture({**COLUMNS, "kind": "category"}, start=taught, max_epochs=1).fit(frame)
    assert clustering_accuracy(labels, on.predict(frame)) > 0.95


def test_radians_around_zero_come_back_around_zero():
    random = np.random.RandomState(0)
    rows = np.c_[random.vonmises(0, 4, 300), random.randn(300)]
    drawn, _ = (
        FlowMixture(1, columns={0: ("circle", 2 * np.pi)}, flow=FLOW, max_epochs=1, random_state=0)
        .fit(rows)
        .sample(200)
    )
    assert drawn[:, 0].min() < 0
    assert (np.abs(drawn[:, 0]) <= np.pi).all()


# --- one density, by its supports -----------------------------------------------------------------

SUPPORT = {"heading": ("circle", 360), "place": ("latlon", "lat", "lon"), "speed": "positive"}


def density(**changes):
    settings = {
        "max_epochs": 4,
        "fit_options": {"keep": "last"},
        "random_state": 0,
        "support": SUPPORT,
    }
    return FlowDensity(FLOW, **settings | changes)


def test_one_density_of_angles_places_and_numbers(tmp_path):
    frame, labels = travels()
    rows = frame.drop(columns="kind")
    given = density(max_epochs=2).fit(rows, context=labels[:, None].astype(float))
    without = density().fit(rows)
    scores = given.score_samples(rows, labels[:, None].astype(float))
    assert scores.mean() > without.score(rows) + 0.3  # the context tells the clusters
    for name, ends in (("heading", (0.0, 360.0)), ("lon", (-180.0, 180.0))):
        sides = [without.score_samples(rows[:50].assign(**{name: end})) for end in ends]
        assert sides[0] == pytest.approx(sides[1], abs=1e-5)
    drawn = without.sample(300)
    assert ((drawn[:, 0] >= 0) & (drawn[:, 0] < 360) & (np.abs(drawn[:, 1]) <= 90)).all()
    vectors = from_degrees(drawn[:, 1], drawn[:, 2])
    assert vectors.mean(0) == pytest.approx(
        from_degrees(rows["lat"], rows["lon"]).mean(0), abs=0.15
    )
    save(without, tmp_path / "d.safetensors")
    again = load(tmp_path / "d.safetensors")
    assert (again.score_samples(rows) == without.score_samples(rows)).all()
    with pytest.raises(ValueError, match="no latents"):
        again.transform(rows)


def test_the_simple_density_is_kept_where_no_flow_is_better():
    random = np.random.RandomState(0)
    rows = np.c_[random.uniform(0, 360, 60), random.randn(60)]
    found = density(support={0: ("circle", 360)}, fit_options={}, max_epochs=20).fit(rows)
    assert np.isfinite(found.score_samples(rows)).all()
    assert found.score(rows) == pytest.approx(-np.log(360) - 1.42, abs=0.2)


# --- what cannot be -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "columns", "message"),
    [
        (
            {"heading": 400.0},
            COLUMNS,
            "'heading' is a circle: 1 of 100 values are no",
        ),
        (
            {},
            {"heading": ("circle", 6.2832)},
            "'heading' is a circle: .* within one turn",
        ),
        (
            {"lat": 90.5},
            COLUMNS,
            "'lat' is a latitude: 1 .* no degrees from -90 to",
        ),
        ({"lon": -361.0}, COLUMNS, "'lon' is a longitude: 1 of 100"),
        ({}, {"place": ("latlon", "lat", "lat")}, "latlon needs two columns, got 'lat' twice"),
        ({}, {"place": ("latlon", "lat", "east")}, "names column 'east'"),
        ({}, {**COLUMNS, "lat": "real"}, "names column 'lat' twice"),
    ],
)
def test_wrong_angles_and_places_are_refused(changed, columns, message):
    frame, _ = travels(100)
    for name, value in changed.items():
        frame.loc[3, name] = value
    with pytest.raises(ValueError, match=message):
        mixture({**columns, "kind": "category"}).fit(frame)


@pytest.mark.parametrize(
    ("changed", "support", "message"),
    [
        ({}, {"heading": "angle"}, "'heading' must lie between -6.28319 and 6.28319: .* of 100"),
        ({"lat": -91.0}, SUPPORT, "'lat' must lie between -90 and 90: 1 of 100"),
        ({}, {"place": ("latlon", "lat", "lat")}, "names column 'lat' twice"),
        ({}, {"heading": ("circle", -1)}, "must be 'positive'"),
    ],
)
def test_wrong_supports_are_refused(changed, support, message):
    frame, _ = travels(100)
    for name, value in changed.items():
        frame.loc[3, name] = value
    with pytest.raises(ValueError, match=message):
        density(support=support).fit(frame.drop(columns="kind"))


def test_gaps_cut_circles_open_and_refuse_places():
    frame, _ = travels()
    heading = {"heading": ("circle", 360), "kind": "category"}
    rows = frame[["heading", "speed", "kind"]]
    gaps = rows.mask(np.random.RandomState(0).uniform(size=rows.shape) < 0.1)
    model = mixture(heading, missing="marginal", flow="realnvp", init_params="kmeans").fit(gaps)
    assert np.isfinite(model.score_samples(gaps)).all()
    with pytest.raises(ValueError, match="only a FlowMixture with missing='refuse'"):
        mixture({**COLUMNS, "kind": "category"}, missing="marginal").fit(frame)


@pytest.mark.parametrize("n", [2, 40])
def test_all_rows_at_one_place(n):
    frame, _ = travels(1)
    rows = pd.concat([frame[["lat", "lon"]]] * n, ignore_index=True)
    model = mixture({"place": ("latlon", "lat", "lon")}, n_components=1, max_epochs=2)
    model.fit(rows)
    assert np.isfinite(model.score_samples(rows)).all()
    drawn, _ = model.sample(20)
    assert (
        np.abs(
            from_degrees(drawn["lat"], drawn["lon"]) - from_degrees(rows["lat"], rows["lon"])[0]
        ).max()
        < 0.1
    )
    with pytest.raises(ValueError, match=r"1 sample"):
        model.fit(rows[:1])


def test_a_forged_layout_is_refused():
    from anabranch.procedures.product_preparation import Circled, Layout

    with pytest.raises(ValueError, match="each column must lie in one space"):
        Layout((Circled(0, 1.0),), (), (0, 1))
    with pytest.raises(ValueError, match="periods must be positive"):
        Layout((Circled(0, -1.0),), (), (1,))
