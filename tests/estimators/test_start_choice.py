"""Which start is trained on, and when the flow has to go."""

import numpy as np
import pytest
import torch

from anabranch import FlowMixture
from anabranch.algorithms.gaussians import StartOptions
from anabranch.algorithms.graph_clusters import spread_labels
from anabranch.estimators.mixture_plan import MixturePlan
from anabranch.metrics import clustering_accuracy
from anabranch.objectives import MixtureObjective
from anabranch.problems import Pinwheel, TwoCircles
from anabranch.procedures import fit_flow_mixture as trainer
from anabranch.procedures.mixture_starts import StartRows, make_starts

X, _ = Pinwheel().sample_per_component(80, random_state=0)


def task_of(mixture):
    """A fitted mixture as a candidate, and its rows as a task."""
    rows, plan = mixture._rows(X, None, np.random.RandomState(0)), MixturePlan.of(mixture)
    task = trainer.MixtureTask(plan, rows, rows, None, mixture.preparation_, 0)
    objective = MixtureObjective(mixture.model_)
    return trainer.Candidate("given", objective, mixture.model_.state_dict(), task.noise()), task


@pytest.mark.parametrize("ahead", [0, 1])
def test_the_start_that_is_ahead_is_trained_on(monkeypatch, ahead):
    raced = []

    def head_start(candidate, _):
        raced.append(candidate.model)
        return float(len(raced) - 1 != ahead)

    monkeypatch.setattr(trainer, "head_start", head_start)
    mixture = FlowMixture(5, random_state=0, max_epochs=1).fit(X)
    assert len(raced) == 2
    assert mixture.model_ is raced[ahead]


def test_a_race_trains_and_reports_the_better_score():
    mixture = FlowMixture(5, random_state=0, max_epochs=0, init_params="kmeans").fit(X)
    candidate, task = task_of(mixture.set_params(max_epochs=40))
    z, term = task.rows.z, task.rows.term
    before = -mixture.model_.mixture.log_prob(z).mean().item() - term.mean().item()
    assert trainer.head_start(candidate, task) < before - 0.05


@pytest.mark.parametrize("convinced", [False, True])
def test_a_flow_that_does_not_convince_gives_way_to_its_gaussian_start(monkeypatch, convinced):
    monkeypatch.setattr(trainer, "convincing", lambda gain, weights: convinced)
    settings = {"init_params": "kmeans", "random_state": 0}
    start = FlowMixture(5, max_epochs=0, **settings).fit(X)
    mixture = FlowMixture(5, max_epochs=30, **settings).fit(X)
    same = np.array_equal(mixture.score_samples(X), start.score_samples(X))
    assert same is not convinced
    if not convinced:
        assert mixture.lower_bound_ == pytest.approx(start.lower_bound_)


def test_q_is_taught_the_start_with_doubt():
    mixture = FlowMixture(2, random_state=0, max_epochs=0).fit(X)
    candidate, task = task_of(mixture.set_params(max_epochs=1))
    certain = np.eye(2)[(X[:, 0] > 0).astype(int)]
    trainer.teach_start(candidate, task, certain)
    rows = task.rows
    with torch.no_grad():
        q = mixture.model_.log_q(rows.z).exp().numpy()
    assert (q.argmax(0) == certain.argmax(1)).mean() > 0.95
    # certain responsibilities of 1 are taught as 0.95
    assert 0.90 < np.median(q.max(0)) < 0.98


def test_labels_spread_along_the_rings_and_not_across():
    points, ring = TwoCircles(radial_std=0.05).sample_per_component(300, random_state=0)
    targets = np.zeros((600, 2))
    for k in (0, 1):
        targets[np.flatnonzero(ring == k)[:5], k] = 1
    spread = spread_labels(points, np.arange(600), targets)
    np.testing.assert_allclose(spread.sum(1), 1)
    centres = [points[targets[:, k] > 0].mean(0) for k in (0, 1)]
    nearest = np.argmin([((points - c) ** 2).sum(1) for c in centres], axis=0)
    # a rule that knows distances to the labels but no neighbourhoods cuts the rings in halves
    assert (spread.argmax(1) == ring).mean() > (nearest == ring).mean() + 0.25


def test_components_are_fitted_to_trusted_labels_before_the_density_can_outvote_them():
    mixture = FlowMixture(2, random_state=0, max_epochs=0, init_params="kmeans").fit(X)
    candidate, task = task_of(mixture.set_params(max_epochs=20))
    trusted = np.eye(2)[(X[:, 0] > 0).astype(int)]
    own = torch.as_tensor(trusted.T, dtype=torch.float32)

    def fit_to_own() -> float:
        with torch.no_grad():
            log_prob = mixture.model_.mixture.component_log_prob(task.rows.z)
            return (log_prob * own).sum(0).mean().item()

    before = fit_to_own()
    trainer.pretrain(candidate, task, trusted)
    assert fit_to_own() > before + 0.1


def rings(n=1024, seed=100):
    return TwoCircles(radial_std=0.05).sample_per_component(n // 2, random_state=seed)


def names_of_starts(points, n_components, targets=None, init_params="auto"):
    """The starts of a search, and their responsibilities."""
    return [
        (start.gaussian.name, start.responsibilities)
        for start in make_starts(
            StartRows(points, points, points, targets),
            StartOptions(n_components),
            init_params=init_params,
            n_init=1,
            random_state=np.random.RandomState(0),
        )
    ]


def test_regions_that_gaps_set_apart_are_the_only_start():
    points, ring = rings()
    starts = names_of_starts(points, 2)
    assert [name for name, _ in starts] == ["spectral"]
    assert clustering_accuracy(ring, starts[0][1].argmax(1)) > 0.99


def test_without_gaps_kmeans_and_gmm_compete_as_before():
    points, _ = Pinwheel().sample_per_component(400, random_state=100)
    names = [name for name, _ in names_of_starts(points, 5)]
    assert "kmeans" in names
    assert "spectral" not in names


def test_a_spectral_start_is_made_where_it_is_asked_for_and_trusted():
    points, ring = rings(400)
    (start,) = make_starts(
        StartRows(points, points, points, None),
        StartOptions(2),
        init_params="spectral",
        n_init=1,
        random_state=np.random.RandomState(0),
    )
    assert start.gaussian.name == "spectral"
    assert start.trusted
    assert clustering_accuracy(ring, start.responsibilities.argmax(1)) > 0.99


def test_q_keeps_the_rings_that_the_start_found():
    points, ring = rings()
    settings = {"inference": "variational", "random_state": 0, "max_epochs": 30}
    mixture = FlowMixture(2, **settings).fit(points)
    for method in ("network", "exact"):
        assert clustering_accuracy(ring, mixture.predict(points, method=method)) > 0.95
    halves = FlowMixture(2, init_params="kmeans", **settings).fit(points)
    assert clustering_accuracy(ring, halves.predict(points)) < 0.75


def labelled(ring, flipped=0):
    """Four labels of each ring, some of them false."""
    targets = np.zeros((len(ring), 2))
    for k in (0, 1):
        own = np.flatnonzero(ring == k)[8:12]
        targets[own, np.where(np.arange(4) < flipped, 1 - k, k)] = 1
    return targets


def test_labels_do_not_spread_across_gaps_that_they_fit():
    points, ring = rings()
    ((name, R),) = names_of_starts(points, 2, labelled(ring))
    assert name == "spectral"
    # names are those of the labels
    assert (R.argmax(1) == ring).mean() > 0.99
    spread = spread_labels(points, np.arange(len(points)), labelled(ring))
    assert (spread.argmax(1) == ring).mean() < 0.97


def test_labels_that_contradict_the_gaps_are_believed():
    points, ring = rings()
    assert names_of_starts(points, 2, labelled(ring, flipped=1))[0][0] == "labels"
