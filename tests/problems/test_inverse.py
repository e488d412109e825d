"""Inverse problems with known posteriors: the arm, and eight modes with shared labels."""

import numpy as np
import pytest
from scipy.stats import kstest

from anabranch.problems import EightModes, InverseKinematics


def test_the_arm_by_hand():
    problem = InverseKinematics()
    theta = np.array([[0.1, 0.3, -0.2, 0.5]])
    across = 0.1 + 0.5 * np.sin(0.3) + 0.5 * np.sin(-0.5) + np.sin(0.5 - 0.3 + 0.2)
    along = 0.5 * np.cos(0.3) + 0.5 * np.cos(-0.5) + np.cos(0.5 - 0.3 + 0.2)
    assert problem.simulate(theta) == pytest.approx(np.array([[across, along]]))
    joints = problem.joints(theta)
    assert joints[0, -1] == pytest.approx(np.array([across, along]))
    assert np.linalg.norm(np.diff(joints[0], axis=0), axis=1) == pytest.approx([0.5, 0.5, 1.0])
    assert joints[0, 0] == pytest.approx([0.1, 0.0])


def test_rejected_draws_meet_the_place_and_the_posterior(monkeypatch):
    """Of draws from the joint, theta and a draw given its x have the same distribution."""
    monkeypatch.setattr("anabranch.problems.inverse_kinematics.BATCH", 1 << 14)
    problem = InverseKinematics()
    theta, x = problem.sample(60, random_state=0)
    ranks = []
    for i in range(60):
        draws = problem.sample_posterior(x[i], 19, i, tolerance=0.01)
        again = problem.simulate(draws)
        assert again[:, 0] == pytest.approx(np.full(19, x[i, 0]))
        assert np.abs(again[:, 1] - x[i, 1]).max() <= 0.01
        ranks.append((draws < theta[i]).sum(0))
    shares = (np.array(ranks) + np.random.default_rng(0).random((60, 4))) / 20
    assert min(kstest(column, "uniform").pvalue for column in shares.T) > 0.01


def test_places_out_of_reach_are_refused(monkeypatch):
    monkeypatch.setattr("anabranch.problems.inverse_kinematics.MOST_BATCHES", 1)
    with pytest.raises(ValueError, match=r"x = \[0.0, 5.0\] is hardly ever reached"):
        InverseKinematics().sample_posterior([0.0, 5.0], 1)
    with pytest.raises(ValueError, match=r"x must have shape \(2,\)"):
        InverseKinematics().sample_posterior([0.0], 1)
    with pytest.raises(ValueError, match=r"theta must have shape \(..., 4\)"):
        InverseKinematics().simulate([[0.0]])
    with pytest.raises(ValueError, match=r"lengths\[1\] is 0"):
        InverseKinematics(lengths=(1.0, 0.0, 1.0))


@pytest.mark.parametrize(("labels", "counts"), [("all", [1] * 8), ("some", [4, 2, 1, 1])])
def test_modes_share_labels(labels, counts):
    problem = EightModes(labels)
    probabilities = problem.mode_probabilities
    assert (probabilities > 0).sum(1).tolist() == counts
    assert probabilities.sum(1) == pytest.approx(np.ones(len(counts)))
    theta, x = problem.sample(4000, random_state=0)
    modes = problem.nearest_modes(theta)
    assert (problem.label_of_mode[modes] == x.argmax(1)).mean() > 0.999
    code = np.eye(problem.n_observations)[0]
    draws = problem.sample_posterior(code, 4000, random_state=0)
    shares = np.bincount(problem.nearest_modes(draws), minlength=8) / 4000
    assert shares == pytest.approx(probabilities[0], abs=0.03)
    grid = np.stack(np.meshgrid(*[np.linspace(-4, 4, 161)] * 2), -1).reshape(-1, 2)
    density = np.exp(problem.posterior_log_prob(grid, code))
    assert density.sum() * 0.05**2 == pytest.approx(1, abs=1e-4)


def test_places_of_the_modes():
    corner = 1 + np.sqrt(2)
    known = {(a * 1.0, b * corner) for a in (-1, 1) for b in (-1, 1)}
    known |= {(b * corner, a * 1.0) for a in (-1, 1) for b in (-1, 1)}
    found = {tuple(map(float, centre)) for centre in EightModes().centres.round(6)}
    assert found == {(round(a, 6), round(b, 6)) for a, b in known}


def test_wrong_labels_are_refused():
    with pytest.raises(ValueError, match="labels must be one of"):
        EightModes("few")
    with pytest.raises(ValueError, match="x must be a one-hot code of 4 labels"):
        EightModes().sample_posterior([1.0, 1.0, 0.0, 0.0], 1)
