"""NeuralPosterior: a posterior that is known is found, its answers agree, misuse is named."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import cross_val_score

from anabranch import NeuralPosterior, load, save
from anabranch.algorithms.mean_shift import mean_shift_mode
from anabranch.problems import EightModes

QUICK = {"max_epochs": 2, "random_state": 0}
FLOW = {"name": "realnvp", "n_layers": 2, "hidden": [8]}
GAIN = np.array([[0.5, 0.2], [-0.3, 0.4]])


def simulate(theta):
    return theta @ GAIN.T


def simulations(n, seed=0, noise=0.5):
    """theta ~ N(0, I), x = G theta + noise: the posterior is a Gaussian."""
    random = np.random.default_rng(seed)
    theta = random.normal(size=(n, 2))
    return theta, simulate(theta) + noise * random.normal(size=(n, 2))


@pytest.fixture(scope="module")
def linear():
    """The Gaussian regression, which is the true family here."""
    return NeuralPosterior(None, random_state=0).fit(*simulations(4000))


def test_a_linear_posterior_is_found(linear):
    theta, x = simulations(300, seed=1)
    precision = np.eye(2) + GAIN.T @ GAIN / 0.25
    covariance = np.linalg.inv(precision)
    mean = x[0] @ GAIN / 0.25 @ covariance
    draws = linear.sample(4000, x[0])
    assert draws.mean(0) == pytest.approx(mean, abs=0.07)
    assert np.cov(draws.T) == pytest.approx(covariance, abs=0.06)
    assert linear.mode(x[0]) == pytest.approx(mean, abs=0.3)
    found = linear.calibrate(theta, x, simulator=simulate)
    assert found.p_values.min() > 0.01
    assert found.median_error.max() < 0.04
    assert found.coverage.error < 0.04
    assert "coverage error" in str(found)
    # given x, a draw is distributed as theta is: what it simulates is off by the noise alone
    assert found.resimulation_error == pytest.approx(2 * 0.25, abs=0.06)


def test_answers_agree(linear):
    theta, x = simulations(5, seed=2)
    each = linear.log_prob(theta, x)
    assert (each == linear.score_samples(theta, x)).all()
    assert linear.score(theta, x) == pytest.approx(each.mean())
    assert linear.log_prob(theta, x[0])[0] == pytest.approx(each[0])
    assert (linear.log_prob(theta, x[0]) == linear.log_prob(theta, x[:1])).all()
    draws = linear.sample(3, x, random_state=5)
    assert draws.shape == (3, 5, 2)
    assert linear.sample(3, x[0]).shape == (3, 2)
    assert (linear.sample(3, x, random_state=5) == draws).all()
    assert linear.sample(5, context=x).shape == (5, 2)
    assert linear.mode(x[:2], n_samples=100).shape == (2, 2)
    tensors = linear.sample(3, torch.tensor(x), random_state=5)
    assert (tensors == draws).all()


def test_many_observations_are_drawn_for_in_parts(linear, monkeypatch):
    _, x = simulations(40, seed=2)
    monkeypatch.setattr("anabranch.estimators.neural_posterior.PART", 64)
    draws = linear.sample(200, x)
    assert draws.shape == (200, 40, 2)
    alone = np.stack([linear.sample(200, one, random_state=9) for one in x], 1)
    assert draws.mean(0) == pytest.approx(alone.mean(0), abs=0.35)


def test_modes_that_share_a_label_are_all_found():
    problem = EightModes()
    theta, x = problem.sample(2000, random_state=0)
    flow = {"name": "nsf", "n_layers": 2, "hidden": [32]}
    posterior = NeuralPosterior(flow, max_epochs=25, random_state=0).fit(theta, x)
    draws = posterior.sample(1000, np.eye(4)[1])
    shares = np.bincount(problem.nearest_modes(draws), minlength=8) / 1000
    assert np.abs(shares - problem.mode_probabilities[1]).sum() / 2 < 0.15


def test_saved_it_is_the_same(tmp_path):
    theta, x = simulations(200)
    frame, given = pd.DataFrame(theta, columns=["a", "b"]), pd.DataFrame(x, columns=["u", "v"])
    posterior = NeuralPosterior(FLOW, **QUICK).fit(frame, given)
    save(posterior, tmp_path / "p.safetensors")
    again = load(tmp_path / "p.safetensors")
    assert type(again) is NeuralPosterior
    assert (again.sample(4, x[0]) == posterior.sample(4, x[0])).all()
    assert (again.log_prob(frame, given) == posterior.log_prob(frame, given)).all()
    assert again.context_names == ["u", "v"]


def test_own_validation_and_model_selection():
    theta, x = simulations(300)
    other = simulations(50, seed=1)
    posterior = NeuralPosterior(None, random_state=0).fit(
        theta, x, theta_val=other[0], x_val=other[1]
    )
    assert posterior.lower_bound_ == pytest.approx(posterior.score(*other), abs=1e-4)
    assert len(cross_val_score(NeuralPosterior(None), theta, x, cv=2)) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, t, x: NeuralPosterior(None).fit(t), "is needed once.*got neither"),
        (lambda p, t, x: NeuralPosterior(None).fit(t, x, context=x), "is needed once.*got both"),
        (lambda p, t, x: NeuralPosterior(None).fit(t, x[:-1]), "context has 3 rows, expected 4"),
        (lambda p, t, x: NeuralPosterior(None).fit(t, x, theta_val=t), "go together"),
        (lambda p, t, x: NeuralPosterior(None).fit(t, x * np.nan), "NaN"),
        (lambda p, t, x: p.sample(3), "got neither"),
        (lambda p, t, x: p.sample(3, [1.0]), "context must have 2 columns"),
        (lambda p, t, x: p.sample(0, x), "n_samples"),
        (lambda p, t, x: p.log_prob(t, x[:2]), "context has 2 rows, expected 4"),
        (lambda p, t, x: p.calibrate(t, x[:2]), r"draws must have shape \(4, n, 2\)"),
    ],
)
def test_misuse_is_named(linear, call, message):
    theta, x = simulations(4)
    with pytest.raises(ValueError, match=message):
        call(linear, theta, x)


def test_the_highest_mode_is_found():
    random = np.random.default_rng(0)
    low, high = random.normal(-3, 0.3, (300, 2)), random.normal(3, 0.3, (700, 2))
    assert mean_shift_mode(np.concatenate([low, high])) == pytest.approx([3, 3], abs=0.2)
    assert mean_shift_mode(np.ones((5, 1))) == pytest.approx([1.0])
    with pytest.raises(ValueError, match="bandwidth must be positive"):
        mean_shift_mode(low, bandwidth=0)
    with pytest.raises(ValueError, match="points must have shape"):
        mean_shift_mode([1.0])
