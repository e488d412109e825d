"""Starts on products of spaces: EM against known truth, and models set to them."""

import numpy as np
import pytest
import torch
from scipy.special import ive

from anabranch.algorithms.gaussians import StartOptions
from anabranch.algorithms.product_mixtures import concentration_of, product_em
from anabranch.metrics import clustering_accuracy
from anabranch.models import product_density
from anabranch.procedures.product_starts import ProductSearch, product_rows, set_product

BLOCKS = [("circle", 2), ("sphere", 3), ("real", 2)]


def two_clusters(n=600, seed=0):
    """One of them straddles 0 = 2 pi, the other lies opposite; both widen in all spaces."""
    random = np.random.RandomState(seed)
    labels = np.arange(n) % 2
    angle = (labels * np.pi + 0.3 * random.randn(n)) % (2 * np.pi)
    other = random.uniform(0, 2 * np.pi, n)
    place = random.randn(n, 3) * 0.3 + np.where(labels[:, None], [0, 0, 1.0], [1.0, 0, 0])
    place /= np.linalg.norm(place, axis=1, keepdims=True)
    reals = random.randn(n, 2) @ [[1, 0.5], [0, 1]] + labels[:, None]
    codes = (random.uniform(size=(n, 1)) < np.where(labels, 0.2, 0.8)[:, None]).astype(float)
    return np.c_[angle, other, place, reals, codes], labels


@pytest.mark.parametrize("features", [2, 3])
def test_concentrations_solve_their_equation(features):
    kappa = np.array([1e-3, 0.1, 1.0, 30.0, 900.0])
    exact = ive(1, kappa) / ive(0, kappa) if features == 2 else 1 / np.tanh(kappa) - 1 / kappa
    assert concentration_of(exact, features) == pytest.approx(kappa, rel=1e-3)


def test_a_cluster_across_the_cut_is_found_as_one():
    z, labels = two_clusters()
    rows = product_rows(z, BLOCKS, [2])
    search = ProductSearch(rows, rows, None, StartOptions(2), np.random.RandomState(0))
    start = search.best("kmeans", 1)
    assert clustering_accuracy(labels, start.responsibilities.argmax(1)) > 0.98
    order = np.argsort(-start.parameters.directions[0][:, 0])
    assert start.parameters.directions[0][order] == pytest.approx(
        np.array([[1.0, 0.0], [-1.0, 0.0]]), abs=0.06
    )
    # the angle's standard deviation is .3: the concentration is near 1 / .09
    assert start.parameters.concentrations[0] == pytest.approx(np.full(2, 11.5), rel=0.15)
    # the angle that tells nothing is all but uniform
    assert (start.parameters.concentrations[1] < 0.4).all()
    assert start.parameters.factors[0][order, 1] == pytest.approx([0.8, 0.2], abs=0.08)


def test_em_climbs():
    z, _ = two_clusters(200)
    rows = product_rows(z, BLOCKS, [2])
    R = np.random.RandomState(1).dirichlet(np.ones(3), 200)
    scores = [
        product_em(rows, R, max_iter=steps, tol=-1.0).log_prob(rows).mean() for steps in range(12)
    ]
    assert (np.diff(scores) > -0.02).all()  # but for what shrinks covariances
    assert scores[-1] > scores[0] + 0.1


def test_a_model_is_its_start():
    """The untrained mixture of flows has the densities of the simple components."""
    z, _ = two_clusters()
    z = z[:, :7]
    rows = product_rows(z, BLOCKS)
    parameters = product_em(rows, np.eye(2)[np.arange(600) % 2])
    model = product_density(7, blocks=BLOCKS, batch_shape=[2], hedge=True, seed=0)
    set_product(model, parameters)
    expected = parameters.joint_log_prob(rows) - np.log(parameters.weights)
    found = model.log_prob(torch.as_tensor(z, dtype=torch.float32)).detach().numpy().T
    assert found == pytest.approx(expected, abs=2e-3)
    for part in (model.density, model.anchor):
        again = part.log_prob(torch.as_tensor(z, dtype=torch.float32)).detach().numpy().T
        assert again == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("rows", [1, 5])
def test_one_place_is_no_point_mass(rows):
    z = np.tile([[1.0, 2.0, 0.0, 0.6, 0.8, 3.0, 4.0]], (rows, 1))
    parameters = product_em(product_rows(z, BLOCKS), np.ones((rows, 1)), reg_covar=1e-4)
    assert np.isfinite(parameters.log_prob(product_rows(z, BLOCKS))).all()
    assert all((kappa <= 1e4 * (1 + 1e-9)).all() for kappa in parameters.concentrations)
