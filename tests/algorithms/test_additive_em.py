"""Additive mixtures: EM against other mixtures, and facets on axes that nobody knows."""

import math
import sys
from itertools import product

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from anabranch.algorithms.gaussians import AdditiveMixture, additive_em
from anabranch.algorithms.gaussians.additive import joint_states
from anabranch.algorithms.trees.additive_start import additive_starts, own_axes
from anabranch.metrics import clustering_accuracy
from tests.registry import seeded

CORNERS = 4.0 * np.array([[1.0, 0.0], [-0.5, 0.87], [-0.5, -0.87]])


def turned_facets(seed, n=1000):
    """White rows of two variables of three states, on axes turned at will, and the states."""
    random = np.random.RandomState(seed)
    states = random.randint(3, size=(n, 2))
    z = np.concatenate([CORNERS[states[:, 0]], CORNERS[states[:, 1]]], 1)
    z = z + random.randn(n, 4)
    turn = torch.linalg.qr(torch.as_tensor(random.randn(4, 4)))[0]
    return torch.as_tensor((z - z.mean(0)) / z.std(0)) @ turn, states, turn


def by_enumeration(found):
    """The density of a fit by torch's own mixture, a component for each joint state."""
    cells = list(product(*map(range, found.states)))
    weights = [math.prod(float(w[k]) for w, k in zip(found.weights, c, strict=True)) for c in cells]
    means = [sum(m[k] for m, k in zip(found.means, c, strict=True)) for c in cells]
    components = MultivariateNormal(torch.stack(means), found.covariance)
    return MixtureSameFamily(Categorical(torch.tensor(weights).double()), components), cells


def test_the_density_and_the_variables_are_those_of_all_joint_states():
    z, _, _ = turned_facets(0, n=60)
    found = additive_em(z + 5, (2, 3), n_init=2, max_iter=12, random_state=np.random.RandomState(0))
    density, cells = by_enumeration(found)
    assert found.log_prob == pytest.approx(float(density.log_prob(z + 5).mean()))
    joint = density.mixture_distribution.logits[:, None] + torch.stack(
        [
            MultivariateNormal(m, found.covariance).log_prob(z + 5)
            for m in density.component_distribution.mean
        ]
    )
    p = torch.softmax(joint, 0)
    for i, node in enumerate(found.nodes):
        own = [p[[c[i] == k for c in cells]].sum(0) for k in range(found.states[i])]
        torch.testing.assert_close(node, torch.stack(own))


def test_joint_states_are_all_there_are():
    table = joint_states((2, 3), torch.zeros(1)).split([2, 3], 1)
    found = [tuple(int(part[i].argmax()) for part in table) for i in range(6)]
    assert found == list(product(range(2), range(3)))


def test_the_likelihood_never_falls():
    z, _, _ = turned_facets(1, n=300)
    path = [
        additive_em(z, (3, 2), n_init=1, max_iter=n, random_state=np.random.RandomState(3)).log_prob
        for n in range(30)
    ]
    assert (np.diff(path) > -1e-9).all()
    assert path[-1] > path[0] + 0.5


def test_the_likeliest_starts_go_on(monkeypatch):
    z, _, _ = turned_facets(1, n=200)
    short, random_state = {"max_iter": 10}, np.random.RandomState(0)
    each = [
        additive_em(z, (3, 3), n_init=1, **short, random_state=random_state).log_prob
        for _ in range(6)
    ]
    assert max(each) > min(each) + 0.1
    # the package has the function under the name of its module
    monkeypatch.setattr(sys.modules[additive_em.__module__], "FINALISTS", 1)
    best = additive_em(z, (3, 3), n_init=6, **short, random_state=np.random.RandomState(0))
    assert best.log_prob == pytest.approx(max(each))


def test_one_variable_is_a_mixture_with_a_tied_covariance():
    z, _, _ = turned_facets(2)
    found = additive_em(z, (4,), max_iter=500, random_state=np.random.RandomState(0))
    theirs = GaussianMixture(
        4,
        covariance_type="tied",
        weights_init=found.weights[0].numpy(),
        means_init=found.means[0].numpy(),
        precisions_init=torch.linalg.inv(found.covariance).numpy(),
        reg_covar=0.0,
        max_iter=500,
        tol=1e-9,
    ).fit(z.numpy())
    assert found.log_prob == pytest.approx(theirs.score(z.numpy()), abs=1e-3)
    assert -2 * found.bic() == pytest.approx(theirs.bic(z.numpy()), abs=2)


def test_the_score_counts_what_is_free():
    z, _, _ = turned_facets(2, n=50)
    found = additive_em(z, (2, 3), n_init=1, random_state=np.random.RandomState(0))
    # 1 + 2 shares, a centre and 1 + 2 shifts from it in four features, ten of a covariance
    expected = 50 * found.log_prob - 0.5 * (3 + 4 * 4 + 10) * math.log(50)
    assert found.bic() == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(100, 103))
def test_facets_are_found_on_any_axes(seed):
    z, states, _ = turned_facets(seed)
    found = additive_em(z, (3, 3), random_state=np.random.RandomState(0))
    labels = [node.argmax(0) for node in found.nodes]
    assert min(max(clustering_accuracy(y, own) for own in labels) for y in states.T) > 0.95
    shift = torch.ones(4).double()
    again = additive_em(z + shift, (3, 3), random_state=np.random.RandomState(0))
    assert again.log_prob == pytest.approx(found.log_prob)
    for own, moved in zip(found.means, again.means, strict=True):
        torch.testing.assert_close(moved, own + shift / 2)


def test_axes_are_those_of_the_planted_facets():
    z, _, turn = turned_facets(103)
    found = additive_em(z, (3, 3), random_state=np.random.RandomState(0))
    matrix, owners = own_axes(found)
    torch.testing.assert_close(matrix.mT @ matrix, torch.eye(4).double())
    mixed = (turn @ matrix).square()  # of planted by found axes
    first = [j for j, owner in enumerate(owners) if owner == owners[0]]
    assert len(first) == 2
    share = mixed[:2][:, first].sum() / 2
    assert max(share, 1 - share) > 0.99


def test_the_larger_differences_take_an_axis_that_two_claim():
    means = [torch.tensor(m).double() for m in ([[0.5, 0.5], [-0.5, -0.5]], [[3.0, 0], [-3.0, 0]])]
    half = torch.full((2,), 0.5).double()
    mixture = AdditiveMixture(0.0, [], [half, half], means, torch.eye(2).double())
    matrix, owners = own_axes(mixture)
    assert owners == [1, 0]
    torch.testing.assert_close(matrix.abs(), torch.eye(2).double())


def test_axes_along_which_nothing_differs_are_those_of_the_first():
    z = torch.cat([turned_facets(104)[0], torch.randn(1000, 2, generator=seeded(0)).double()], 1)
    found = additive_em(z, (2, 2), random_state=np.random.RandomState(0))
    matrix, owners = own_axes(found)
    assert sorted(owners) == [0] * 5 + [1]
    for i in range(2):
        step = (found.means[i][1] - found.means[i][0]) @ matrix
        own = torch.tensor([owner == i for owner in owners])
        assert float(step[own].norm() / step.norm()) > 0.95


def test_starts_have_the_facets_and_fit_their_rows():
    z, states, _ = turned_facets(105)
    found = additive_starts(z, max_states=4, random_state=np.random.RandomState(0))
    # two variables of three states have claimed all axes: the third is left out
    assert [len(tree.structure.states) for tree, _ in found] == [2, 2]
    tree, matrix = found[0]
    assert tree.structure.states == (3, 3)
    assert sorted(map(len, tree.structure.pouches)) == [2, 2]
    labels = [p.argmax(0) for p in tree.posterior(z @ matrix).nodes]
    assert min(max(clustering_accuracy(y, own) for own in labels) for y in states.T) > 0.95


def test_three_facets_are_a_start():
    random = np.random.RandomState(0)
    states = random.randint(2, size=(600, 3))
    z = torch.as_tensor(5.0 * states + random.randn(600, 3))
    turn = torch.linalg.qr(torch.as_tensor(random.randn(3, 3)))[0]
    z = (z - z.mean(0)) / z.std(0) @ turn
    _, (tree, matrix) = additive_starts(z, max_states=2, random_state=random)
    assert tree.structure.states == (2, 2, 2)
    labels = [p.argmax(0) for p in tree.posterior(z @ matrix).nodes]
    assert min(max(clustering_accuracy(y, own) for own in labels) for y in states.T) > 0.95


def test_one_feature_has_no_two_variables():
    z = torch.randn(50, 1, generator=seeded(0)).double()
    assert additive_starts(z, random_state=np.random.RandomState(0)) == []


@pytest.mark.parametrize(
    "changes", [{"states": ()}, {"states": (0, 2)}, {"states": (2, 9)}, {"n_init": 0}]
)
def test_what_cannot_be_fitted(changes):
    with pytest.raises(ValueError, match="states must be at least one number of 1 to as many as"):
        additive_em(turned_facets(0, n=8)[0], **{"states": (2, 2), **changes})
