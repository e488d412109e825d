"""The experiment on the hedge, on small sets with short fits."""

from functools import partial

import numpy as np

from anabranch import FlowMixture
from anabranch.experiments import hedge
from tests.estimators.data import FLOW, bent

short = partial(
    FlowMixture,
    flow=FLOW,
    init_params="kmeans",
    covariance_type="full",
    max_epochs=3,
    fit_options={"keep": "last"},
)


def test_a_plain_set_is_measured_against_its_start(monkeypatch):
    monkeypatch.setattr(hedge, "ROWS", (100, 100))
    monkeypatch.setattr(hedge, "FlowMixture", short)
    found = hedge.gaussians(3, 0)
    assert (found.rows, found.kept) == (100, True)
    assert found.fall <= found.floor + 1e-3
    assert found.offered == -found.loss


def test_what_flows_offer_is_measured_where_they_are_refused(monkeypatch):
    refusing = partial(short, fit_options={})
    monkeypatch.setattr(hedge, "ROWS", (100, 100))
    monkeypatch.setattr(hedge, "FlowMixture", refusing)
    found = hedge.gaussians(3, 0)
    assert not found.kept
    assert abs(found.loss) < 1e-6 < abs(found.offered)


def test_the_share_of_offered_gains_counts_gains_alone():
    sets = [(-0.3, 0.3), (0.0, 0.1), (0.0, -5.0), (0.2, float("nan"))]
    plain = hedge.Plain(0, 0, 100, 2, 1, 0.0, 0.0, 0.0, True, 0.0, 1.0)
    rows = hedge.Rows(plain._replace(loss=loss, offered=offered) for loss, offered in sets)
    assert np.isclose(hedge._taken(rows), 0.75)


def test_gains_are_those_above_the_gaussian_mixture():
    X, _ = bent(200)
    mixture = short(2, random_state=0).fit(X)
    gain, floor = hedge.gains(mixture, X)
    start = short(2, random_state=0, max_epochs=0).fit(X)
    expected = mixture.score_samples(X) - start.score_samples(X)
    assert np.allclose(gain, expected, atol=1e-4)
    assert gain.min() >= -floor - 1e-3


def test_tables_without_their_classes(tmp_path):
    path = tmp_path / "toy.dat"
    path.write_text("@relation toy\n@data\n1.0, 2.5, a\n3.0, 4.0, b\n", encoding="utf-8")
    assert hedge.read_keel(path).tolist() == [[1.0, 2.5], [3.0, 4.0]]
