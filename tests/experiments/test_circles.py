"""The circles in small: rows mean what their header says, and labels come as separate draws."""

import numpy as np
import pytest

from anabranch.experiments import Run, circles, list_experiments
from anabranch.problems import Pinwheel


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(circles, "SIZE", 100)
    monkeypatch.setattr(circles, "HELD_OUT", 300)
    monkeypatch.setattr(circles, "EPOCHS", 3)
    monkeypatch.setitem(circles.OURS, "max_epochs", 2)
    monkeypatch.setitem(circles.ALTERNATE["semi_supervised"], "pretrain_epochs", 2)


def values(outcome):
    return {figure.name: figure.value for figure in outcome.figures}


@pytest.mark.slow
def test_without_labels_all_parts_are_reported_and_drawn():
    outcome = circles.circles(Run(seeds=(100,)))
    found = values(outcome)
    assert len(found) == len(outcome.figures)
    for part in ("noise 0.05", "noise 0.005", "thesis settings, noise 0.005", "pinwheel"):
        assert 0.2 <= found[f"{part}: mean ACC of q"] <= 1
        assert part in outcome.table
    first = outcome.figures[0]
    assert (first.target, first.better) == (0.8, "higher")
    assert first.value in (0, 1)
    pictures = {"clusters.png", "thin.png", "thesis.png", "pinwheel.png"}
    assert set(outcome.pictures) == pictures
    assert all(image.startswith(b"\x89PNG") for image in outcome.pictures.values())


@pytest.mark.slow
def test_with_labels_names_count_and_both_schedules_are_reported():
    outcome = circles.circles_semi(Run(seeds=(100,)))
    found = values(outcome)
    assert len(found) == len(outcome.figures)
    assert found["64 labels: mean ACC of q"] > 0.9
    assert 0.2 <= found["noise 0.005, 64 labels: mean ACC of q"] <= 1
    assert found["thesis schedule, 64 labels: mean ACC of q"] < found["64 labels: mean ACC of q"]
    assert outcome.settings["thesis"]["semi_supervised"]["order"] == "alternate"
    assert set(outcome.pictures) == {"clusters.png", "thesis.png"}


def test_a_row_is_what_its_fields_say():
    row = circles.found(100, circles.THICK, circles.our_fit, n_labels=32)
    X, y = circles.THICK.sample_per_component(100, random_state=100)
    both, targets = circles._with_labelled(circles.THICK, X, 32, 100)
    mixture = circles.our_fit(both, targets, 2, 100)
    held_out, _ = circles.THICK.sample(300, random_state=10_100)
    assert (row.seed, row.spectral) == (100, mixture.start_ == "spectral")
    assert row.kmeans_acc < 0.6
    assert row.acc_q == pytest.approx((mixture.predict(X) == y).mean())
    assert row.acc_p == pytest.approx((mixture.predict(X, method="exact") == y).mean())
    assert row.gap == pytest.approx(-mixture.score(held_out) - circles.THICK.entropy().value)
    assert row.s > 0
    assert np.array_equal(row.X, both)


def test_labelled_points_are_drawn_apart_and_even():
    X, _ = circles.THICK.sample_per_component(100, random_state=100)
    both, targets = circles._with_labelled(circles.THICK, X, 64, 100)
    assert targets is not None
    assert np.bincount(targets + 1).tolist() == [200, 32, 32]
    assert not np.isin(both[200:], X).any()
    assert circles._with_labelled(Pinwheel(), X, 0, 100)[1] is None


def test_the_thesis_starts_at_equal_components_and_takes_all_its_epochs(monkeypatch):
    X, _ = circles.THIN.sample_per_component(40, random_state=100)
    monkeypatch.setitem(
        circles.THESIS["fit_options"], "keep", "last"
    )  # three epochs do not convince
    ends = {}
    for epochs in (0, 3):
        monkeypatch.setattr(circles, "EPOCHS", epochs)
        mixture = circles.thesis_fit(X, None, 2, 100)
        z = mixture.preparation_.encode(X)[0]
        ends[epochs] = mixture.model_.mixture.component_log_prob(z).detach().numpy()
        assert mixture.n_iter_ == epochs
    assert np.allclose(*ends[0], atol=1e-5)
    assert not np.allclose(*ends[3], atol=1e-5)


def test_they_are_registered():
    assert {"vmonf-circles", "vmonf-circles-semi"} <= set(list_experiments())
