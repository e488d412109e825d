"""Latent trees against the sum over all joint states."""

import itertools

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from anabranch.distributions import LatentTree, TreeStructure
from tests.registry import perturb, seeded

CHAIN = TreeStructure((3, 2, 4), (-1, 0, 1), ((4, 0), (1,), (2, 3), (5,)), (0, 2, 1, 1))
STAR = TreeStructure((2, 3, 2, 2), (-1, 0, 0, 0), ((0,), (3, 1), (2,), (4,)), (0, 1, 2, 3))
# a root that has no features of its own, and a feature apart from all
BARE = TreeStructure((2, 3, 1, 2), (-1, 0, 0, 1), ((1, 2), (0,), (3,)), (1, 2, 3))
STRUCTURES = pytest.mark.parametrize(
    "structure", [CHAIN, STAR, BARE], ids=["chain", "star", "bare"]
)


def make(structure, seed=0):
    tree = perturb(LatentTree(structure, generator=seeded(seed)), std=0.4)
    return tree.double()


def joint(tree, z):
    """Log p(y, z) of all joint states, by the definition alone: {states: (N,)}."""
    structure, found = tree.structure, {}
    tables = [logits.log_softmax(-1) for logits in tree.logits]
    for y in itertools.product(*map(range, structure.states)):
        total = torch.zeros(len(z), dtype=z.dtype)
        for i, parent in enumerate(structure.parents):
            total = total + (tables[i][y[i]] if parent < 0 else tables[i][y[parent], y[i]])
        for pouch, owner in zip(structure.pouches, structure.owners, strict=True):
            own = structure.owned(owner)
            places = [own.index(j) for j in pouch]
            scale = tree.scale_tril(owner)[y[owner]]
            covariance = (scale @ scale.mT)[places][:, places]
            loc = tree.loc[owner][y[owner]][places]
            total = total + MultivariateNormal(loc, covariance).log_prob(z[:, list(pouch)])
        found[y] = total
    return found


def points(structure, n=7):
    return 2 * torch.randn(n, structure.features, generator=seeded(1), dtype=torch.float64)


@STRUCTURES
def test_log_prob_is_the_sum_over_all_states(structure):
    tree, z = make(structure), points(structure)
    expected = torch.stack(list(joint(tree, z).values())).logsumexp(0)
    torch.testing.assert_close(tree.log_prob(z), expected, atol=1e-10, rtol=0)
    far = 1e4 * z
    assert torch.isfinite(tree.log_prob(far)).all()


@STRUCTURES
def test_posteriors_are_those_of_all_states(structure):
    tree, z = make(structure), points(structure)
    every = joint(tree, z)
    log_prob = torch.stack(list(every.values())).logsumexp(0)
    posterior = tree.posterior(z)
    torch.testing.assert_close(posterior.log_prob, log_prob, atol=1e-10, rtol=0)
    for i, states in enumerate(structure.states):
        expected = torch.zeros(states, len(z), dtype=z.dtype)
        for y, value in every.items():
            expected[y[i]] += (value - log_prob).exp()
        torch.testing.assert_close(posterior.nodes[i].exp(), expected, atol=1e-10, rtol=0)
    for i, parent in list(enumerate(structure.parents))[1:]:
        expected = torch.zeros(structure.states[parent], structure.states[i], len(z)).double()
        for y, value in every.items():
            expected[y[parent], y[i]] += (value - log_prob).exp()
        torch.testing.assert_close(posterior.edges[i - 1].exp(), expected, atol=1e-10, rtol=0)


@STRUCTURES
def test_posteriors_are_gradients(structure):
    tree, z = make(structure), points(structure)
    evidence = [torch.zeros(k, len(z), dtype=z.dtype, requires_grad=True) for k in structure.states]
    plain = tree.node_log_prob(z)
    tree.node_log_prob = lambda z: [a + b for a, b in zip(plain, evidence, strict=True)]
    gradients = torch.autograd.grad(tree.log_prob(z).sum(), evidence)
    for gradient, log_p in zip(gradients, tree.posterior(z).nodes, strict=True):
        torch.testing.assert_close(gradient, log_p.exp(), atol=1e-12, rtol=0)


def test_gradients_of_rows_and_parameters():
    tree, z = make(CHAIN), points(CHAIN, 3).requires_grad_()
    assert torch.autograd.gradcheck(tree.log_prob, z)
    tree.log_prob(z).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in tree.parameters())


def test_rows_and_states_are_drawn_as_often_as_they_should():
    tree, n = make(CHAIN), 40_000
    z, states = tree.sample_with_labels(n, seeded(3))
    every = joint(tree, z[:1])
    tables = [table.exp() for table in tree.log_tables()]
    for y in every:
        p = float((tables[0][y[0]] * tables[1][y[0], y[1]] * tables[2][y[1], y[2]]).detach())
        share = float((states == torch.tensor(y)).all(1).double().mean())
        assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / n)
    for owner in range(3):
        own = list(CHAIN.owned(owner))
        for k in range(CHAIN.states[owner]):
            rows = z[states[:, owner] == k][:, own]
            scale = tree.scale_tril(owner)[k].detach()
            error = scale.square().sum(-1).sqrt() / np.sqrt(len(rows))
            assert ((rows.mean(0) - tree.loc[owner][k].detach()).abs() < 4 * error).all()
            spread = (rows.T.cov().reshape(len(own), -1) - scale @ scale.mT).abs().max()
            assert spread < 6 * (scale @ scale.mT).abs().max() / np.sqrt(len(rows))
    torch.testing.assert_close(
        tree.sample(5, generator=seeded(3)), tree.sample_with_labels(5, seeded(3))[0]
    )


def test_features_of_different_pouches_are_independent_given_the_state():
    tree = make(CHAIN)
    covariance = tree.scale_tril(1) @ tree.scale_tril(1).mT
    own = CHAIN.owned(1)
    assert own == (2, 3, 5)
    assert (covariance[:, :2, 2] == 0).all()
    assert (covariance[:, 0, 1] != 0).all()


def test_parameters_are_counted_by_hand():
    # tables 2 + 3 x 1 + 2 x 3; pouches: 3 states x (2 + 3), 4 x (1 + 1), 2 x (2 + 3), 2 x (1 + 1)
    assert CHAIN.n_parameters == 11 + 15 + 8 + 10 + 4
    assert TreeStructure.single(2, 3).n_parameters == 2 + 3 * (2 + 3)
    assert TreeStructure.single(2, 3, full=False).n_parameters == 2 + 3 * 4


def test_information_is_that_of_the_posteriors():
    tree = LatentTree(TreeStructure((2, 2), (-1, 0), ((0,), (1,)), (0, 1))).double()
    with torch.no_grad():
        tree.loc[0].copy_(torch.tensor([[-50.0], [50.0]]))
        tree.loc[1].copy_(torch.tensor([[1.0], [1.0]]))
    z = tree.sample(4000, generator=seeded(0))
    information = tree.information(z).detach()
    assert information[0] == pytest.approx(np.log(2), abs=1e-3)
    assert information[1] == pytest.approx(0, abs=1e-12)


def test_a_structure_survives_plain_values():
    assert TreeStructure(**CHAIN.plain()) == CHAIN


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"states": (3, 0, 4)}, "states must be positive"),
        ({"parents": (-1, 2, 0)}, "parents must be -1 and then"),
        ({"parents": (0, 0, 1)}, "parents must be -1"),
        ({"parents": (-1, 0)}, "for each of the 3 variables"),
        ({"pouches": ((4, 0), (1,), (2, 3), (6,))}, "pouches must hold each of the features"),
        ({"pouches": ((4, 0), (1,), (2, 3, 5), ())}, "none be empty"),
        ({"owners": (0, 2, 1, 3)}, r"owners must be a variable of 0\.\.2"),
        ({"owners": (0, 2, 1)}, "for each of the 4 pouches"),
    ],
)
def test_what_is_no_tree_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TreeStructure(**{**CHAIN.plain(), **changes})


def test_a_structure_is_asked_for():
    with pytest.raises(TypeError, match="structure must be a TreeStructure, got int"):
        LatentTree(3)
