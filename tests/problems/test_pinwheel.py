import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import norm

from anabranch.problems import Pinwheel
from anabranch.problems.preimages import wing_preimages


def bend(u, v, rate):
    angle = rate * np.exp(u)
    return np.stack(
        [np.cos(angle) * u - np.sin(angle) * v, np.sin(angle) * u + np.cos(angle) * v], axis=-1
    )


def preimages(points, rate, max_radius=np.inf):
    rows, u, v = map(np.concatenate, zip(*wing_preimages(points, rate, max_radius), strict=True))
    return rows, u, v


def roots_by_brute_force(point, rate, cells=200_000):
    def g(u):
        angle = rate * np.exp(u)
        return point[0] * np.cos(angle) + point[1] * np.sin(angle) - u

    radius = np.hypot(*point) + 1e-6
    u = np.linspace(-radius, radius, cells)
    change = np.flatnonzero(np.diff(np.sign(g(u))))
    return [brentq(g, u[i], u[i + 1], xtol=1e-13) for i in change]


def test_all_preimages_are_found():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 2)) * np.geomspace(0.2, 4, 60)[:, None]
    rows, u, _ = preimages(points, 0.4)
    several = 0
    for i, point in enumerate(points):
        expected = roots_by_brute_force(point, 0.4)
        assert np.sort(u[rows == i]) == pytest.approx(expected, abs=1e-9)
        several += len(expected) > 1
    assert several > 10


def test_preimages_map_back_to_their_points():
    points = np.random.default_rng(1).normal(size=(500, 2)) * 2
    rows, u, v = preimages(points, 0.4)
    assert set(rows) == set(range(500))
    assert bend(u, v, 0.4) == pytest.approx(points[rows], abs=1e-9)


def test_two_roots_in_one_cell_are_found():
    """Just inside a fold, two preimages lie closer together than the scan can see."""
    rate, u_fold = 0.4, 1.3
    v_fold = 1 / (rate * np.exp(u_fold))
    u, v = u_fold + 1e-3, v_fold
    points = bend(np.array([u]), np.array([v]), rate)
    _, found, _ = preimages(points, rate)
    expected = roots_by_brute_force(points[0], rate)
    assert np.sort(found) == pytest.approx(expected, abs=1e-9)
    near = found[np.abs(found - u_fold) < 0.01]
    assert len(near) == 2


def test_the_jacobian_determinant_is_that_of_autograd():
    problem = Pinwheel()

    def wing(uv):
        u, v = uv
        angle = 2 * torch.pi * 2 / 5 + problem.rate * torch.exp(u)
        cos, sin = torch.cos(angle), torch.sin(angle)
        return problem.scale * torch.stack([cos * u - sin * v, sin * u + cos * v])

    for u, v in [(1.0, 0.05), (1.6, -0.1), (0.2, 0.9), (-0.5, 0.3), (2.0, 1.0)]:
        point = torch.tensor([u, v], dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(wing, point)
        _, log_det = torch.linalg.slogdet(torch.as_tensor(jacobian))
        closed_form = problem.scale**2 * abs(1 - problem.rate * np.exp(u) * v)
        assert float(log_det) == pytest.approx(np.log(closed_form), abs=1e-10)


def test_the_density_near_a_wing_is_that_of_its_one_likely_preimage():
    problem = Pinwheel(n_components=1)
    rng = np.random.default_rng(2)
    u, v = 1 + 0.3 * rng.normal(size=200), 0.05 * rng.normal(size=200)
    X = problem.scale * bend(u, v, problem.rate)
    log_prior = norm.logpdf(u, 1, 0.3) + norm.logpdf(v, 0, 0.05)
    expected = log_prior - np.log(0.25 * np.abs(1 - 0.4 * np.exp(u) * v))
    log_prob = problem.log_prob(X)
    assert (log_prob >= expected - 1e-9).all()
    assert np.median(log_prob - expected) < 1e-9


def test_log_prob_does_not_depend_on_the_other_points():
    problem = Pinwheel()
    X = np.random.default_rng(3).normal(size=(50, 2))
    alone = np.concatenate([problem.log_prob(x[None]) for x in X])
    together = problem.log_prob(np.concatenate([X, 50 * X]))[:50]
    assert alone == pytest.approx(together, rel=1e-9)


def test_a_rotation_by_one_wing_permutes_the_components():
    problem = Pinwheel()
    X = problem.sample(200, random_state=0)[0]
    angle = 2 * np.pi / 5
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = np.roll(problem.component_log_prob(X), 1, axis=1)
    assert problem.component_log_prob(X @ rotation) == pytest.approx(turned, rel=1e-9)


def test_the_authors_wings():
    """The sample generator of the thesis, written out, gives the same distribution."""
    rng = np.random.default_rng(4)
    features = rng.normal(size=(5 * 2000, 2)) * [0.3, 0.05] + [1, 0]
    angles = np.repeat(2 * np.pi * np.arange(5) / 5, 2000) + 0.4 * np.exp(features[:, 0])
    rotations = np.stack([np.cos(angles), np.sin(angles), -np.sin(angles), np.cos(angles)])
    X = 0.5 * np.einsum("ti,tij->tj", features, rotations.T.reshape(-1, 2, 2))
    assert -Pinwheel().log_prob(X).mean() == pytest.approx(-1.1432, abs=0.04)
