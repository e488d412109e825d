"""Rows that count more than once: as if they were there so many times."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.mixture import GaussianMixture as Sklearn

from anabranch import FlowDensity, FlowGMM, FlowMixture, GaussianMixture
from anabranch.algorithms.gaussians import (
    CovarianceModel,
    GaussianParameters,
    RowWeights,
    StartOptions,
    em_start,
    gaussian_em_path,
    hard_start,
    kmeans_responsibilities,
)
from anabranch.models import flow_mixture
from anabranch.objectives import Likelihood, MixtureObjective
from anabranch.procedures.gaussian_guard import convincing, fitted_share
from anabranch.training import evaluate
from tests.estimators.data import blobs, quick

X, Y = blobs()
COUNTS = np.random.RandomState(0).randint(0, 4, len(X))
REPEATED = np.repeat(X, COUNTS, axis=0)
MEANS = [X[k == Y].mean(0) for k in range(3)]


PRECISIONS = {
    "full": np.tile(np.eye(2), (3, 1, 1)),
    "tied": np.eye(2),
    "diag": np.ones((3, 2)),
    "spherical": np.ones(3),
}


@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize("kind", PRECISIONS)
@pytest.mark.parametrize("prior", [{}, {"weight_concentration_prior": 3.0, "covariance_prior": 1}])
def test_em_takes_the_steps_of_repeated_rows(kind, prior):
    start = {"weights_init": [0.2, 0.3, 0.5], "means_init": np.array(MEANS) + 1}
    how = {"covariance_type": kind, "precisions_init": PRECISIONS[kind], **start, **prior}
    weighted = GaussianMixture(3, tol=0, max_iter=6, **how).fit(X, sample_weight=COUNTS)
    repeated = GaussianMixture(3, tol=0, max_iter=6, **how).fit(REPEATED)
    for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), rel=1e-9)
    assert weighted.score(X, sample_weight=COUNTS) == pytest.approx(repeated.score(REPEATED))


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_em_with_labels_and_categories():
    labels = np.where(np.arange(len(X)) % 7 == 0, Y, -1)
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": np.array(list("xyz"))[Y]})
    frame.loc[::11, "a"] = np.nan
    how = {"tol": 0, "max_iter": 4, "reg_covar": 1e-9, "init_params": "k-means++"}
    how |= {"columns": "auto", "missing": "marginal", "random_state": 0}
    twice = np.full(len(X), 2)
    weighted = GaussianMixture(3, **how).fit(frame, labels, sample_weight=twice)
    repeated = GaussianMixture(3, **how).fit(pd.concat([frame] * 2), np.tile(labels, 2))
    assert weighted.weights_ == pytest.approx(repeated.weights_, rel=1e-4)
    assert weighted.categories_["c"] == pytest.approx(repeated.categories_["c"], rel=1e-3)


def test_ones_and_no_weights_are_the_same():
    plain = GaussianMixture(3, random_state=0).fit(X)
    ones = GaussianMixture(3, random_state=0).fit(X, sample_weight=np.ones(len(X)))
    assert ones.means_ == pytest.approx(plain.means_)
    flows = quick().fit(X)
    alike = quick().fit(X, sample_weight=np.full(len(X), 3))
    assert (alike.score_samples(X) == flows.score_samples(X)).all()


def test_starts_are_those_of_repeated_rows():
    options = StartOptions(3, covariance_type="full")
    rows = COUNTS > 0
    Z, counts = X[rows], COUNTS[rows].astype(float)
    V, weights = Z[::3], RowWeights(counts, counts[::3])
    R = np.eye(3)[Y[rows]]
    own = hard_start("start", Z, V, R, options, weights)
    again = np.repeat(Z, COUNTS[rows], axis=0), np.repeat(V, COUNTS[rows][::3], axis=0)
    other = hard_start("start", *again, np.repeat(R, COUNTS[rows], axis=0), options)
    assert own.parameters.covariances == pytest.approx(other.parameters.covariances)
    by_em = em_start(Z, V, R, options, np.random.RandomState(0), weights)
    model = CovarianceModel(1e-3)
    path = gaussian_em_path(again[0], own.parameters, model)
    for _ in range(40):
        _, expected = next(path)
    assert by_em.parameters.means == pytest.approx(expected.means, abs=0.02)


def test_k_means_sees_the_weights():
    line = np.array([[0.0], [1.0], [10.0]])
    weights = np.array([1.0, 1e6, 1e6])
    options = StartOptions(2)
    R = kmeans_responsibilities(line, np.arange(3), options, np.random.RandomState(0), weights)
    assert (R[0] == R[1]).all()


def objectives():
    model = flow_mixture(2, 3, flow={"name": "realnvp", "n_layers": 2}, hedge=True, seed=0)
    yield "exact", MixtureObjective(model)
    model = flow_mixture(2, 3, flow={"name": "realnvp", "n_layers": 2}, seed=1)
    yield "variational", MixtureObjective(model, inference="variational")
    yield "density", Likelihood(flow_mixture(2, 2, seed=2).mixture)


@pytest.mark.parametrize(("name", "objective"), list(objectives()))
def test_loss_and_gradients_are_those_of_repeated_rows(name, objective):
    objective = objective.double()
    counts, targets = torch.as_tensor(COUNTS), torch.zeros(len(X), 3).double()
    targets[::9, 1] = 1.0
    whole = {"x": torch.as_tensor(X), "term": torch.as_tensor(X[:, 0])}
    if name != "density":
        whole["targets"] = targets
    repeated = {key: rows.repeat_interleave(counts, 0) for key, rows in whole.items()}
    found = []
    for batch in (whole | {"weights": counts.double()}, repeated):
        objective.zero_grad()
        loss = objective.train()(batch).total
        loss.backward()
        grads = [p.grad.clone() for p in objective.parameters() if p.grad is not None]
        terms = evaluate(objective, batch, 64)
        found.append((loss.detach(), grads, terms))
    (loss, grads, terms), (expected, others, of_others) = found
    assert float(loss) == pytest.approx(float(expected), rel=1e-10)
    assert len(grads) == len(others) > 0
    for own, other in zip(grads, others, strict=True):
        assert torch.allclose(own, other, rtol=1e-8, atol=1e-12)
    assert terms == pytest.approx(of_others, rel=1e-9)


def test_gains_and_shares_are_judged_with_weights():
    gain, counts = torch.tensor([2.0, -1.0, 0.5, 4.0]).double(), torch.tensor([1, 3, 0, 2])
    repeated = fitted_share(gain.repeat_interleave(counts))
    assert fitted_share(gain, counts.double()) == pytest.approx(repeated)
    assert convincing(gain, torch.tensor([1.0, 0.0, 0.0, 1.0]))
    assert not convincing(gain, torch.tensor([1.0, 9.0, 1.0, 1.0]))
    # of equal weights the error is the usual one
    noise = torch.randn(500, generator=torch.Generator().manual_seed(0)).double()
    for shift in (0.05, 0.08, 0.11, 0.15):
        assert convincing(noise + shift) == convincing(noise + shift, torch.full((500,), 2.0))


@pytest.mark.parametrize("kind", [FlowMixture, FlowGMM, FlowDensity, GaussianMixture])
def test_a_cluster_that_does_not_count_is_not_there(kind):
    far = np.concatenate([X, X[:40] + 40])
    weights = np.r_[np.ones(len(X)), np.zeros(40)]
    settings = {} if kind is GaussianMixture else {"max_epochs": 1}
    number = {} if kind is FlowDensity else {"n_components": 1}
    fitted = kind(**number, **settings, random_state=0).fit(far, sample_weight=weights)
    assert fitted.score(far, sample_weight=weights) > -6
    assert np.median(fitted.score_samples(far[len(X) :])) < -15


@pytest.mark.parametrize("kind", [FlowMixture, FlowDensity])
def test_a_flow_follows_the_weights(kind):
    rows = np.random.RandomState(0).uniform(-1, 1, (600, 1))
    weights = np.where(rows[:, 0] > 0, 9.0, 1.0)
    settings = {"n_components": 1} if kind is FlowMixture else {}
    fitted = kind(flow="nsf", max_epochs=30, random_state=0, **settings)
    fitted.fit(rows, sample_weight=weights)
    drawn = fitted.sample(3000, random_state=0)
    drawn = drawn[0] if kind is FlowMixture else drawn
    assert (drawn > 0).mean() == pytest.approx(0.9, abs=0.04)


@pytest.mark.parametrize("kind", [FlowMixture, FlowDensity, GaussianMixture])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([1.0, 2.0], r"one number for each of 150 rows, got the shape \(2,\)"),
        (np.r_[np.ones(149), -1.0], r"not below zero, got -1\.0 in row 149"),
        (np.r_[np.nan, np.ones(149)], "not below zero, got nan in row 0"),
        (np.zeros(150), "be zero for all rows"),
    ],
)
def test_wrong_weights_are_refused(kind, wrong, message):
    with pytest.raises(ValueError, match="sample_weight must .*" + message):
        kind().fit(X, sample_weight=wrong)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (GaussianMixture("auto"), "'auto' takes no sample_weight"),
        (FlowMixture("auto"), "'auto' takes no sample_weight"),
        (FlowMixture(2, inference="invariant"), "consistency takes no sample_weight"),
    ],
)
def test_what_takes_no_weights_says_so(estimator, message):
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, sample_weight=COUNTS)


def test_repeated_rows_in_scikit_learn_from_the_same_start():
    start = {"weights_init": [1 / 3] * 3, "means_init": MEANS}
    start["precisions_init"] = PRECISIONS["full"]
    ours = GaussianMixture(3, tol=1e-8, max_iter=300, **start).fit(X, sample_weight=COUNTS)
    theirs = Sklearn(3, tol=1e-8, max_iter=300, **start).fit(REPEATED)
    assert ours.means_ == pytest.approx(theirs.means_, rel=1e-3)
    assert isinstance(ours.parameters_, GaussianParameters)
