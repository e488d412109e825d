"""Axes that are turned for a latent tree."""

import math

import numpy as np
import pytest
import torch

from anabranch.algorithms.trees import axes as tree_axes
from anabranch.algorithms.trees import search_turned, tree_bic, tree_em, turn_axes
from anabranch.algorithms.trees.axes import TurnedSearch, turned_climb
from anabranch.algorithms.trees.search import TreeSearch
from anabranch.distributions import LatentTree, TreeStructure
from anabranch.metrics import clustering_accuracy
from tests.registry import seeded


def two_facets(seed, n=800):
    """White rows of two variables of three states, each behind two of four features."""
    random = np.random.RandomState(seed)
    states = random.randint(3, size=(n, 2))
    corners = 4.0 * np.array([[1.0, 0.0], [-0.5, 0.87], [-0.5, -0.87]])
    z = np.concatenate([corners[states[:, 0]], corners[states[:, 1]]], 1) + random.randn(n, 4)
    return torch.as_tensor((z - z.mean(0)) / z.std(0)), states


def a_little(seed):
    upper = 0.2 * torch.randn(4, 4, generator=seeded(seed), dtype=torch.float64).triu(1)
    return torch.linalg.matrix_exp(upper - upper.mT)


TRUTH = TreeStructure((3, 3), (-1, 0), ((0,), (1,), (2,), (3,)), (0, 0, 1, 1))


def tree_of_truth(z, states):
    tree = LatentTree(TRUTH, generator=seeded(0)).double()
    for i in range(2):
        for k in range(3):
            tree.loc[i].data[k] = z[states[:, i] == k][:, 2 * i : 2 * i + 2].mean(0)
        tree.log_scale[i].data.fill_(np.log(0.5))
    tree_em(tree, z)
    return tree


def test_the_axes_of_a_tree_are_found_again():
    z, states = two_facets(100)
    tree = tree_of_truth(z, states)
    tree.requires_grad_(False)
    best = float(tree.log_prob(z).mean())
    away = a_little(1)
    assert float(tree.log_prob(z @ away).mean()) < best - 0.5
    matrix = turn_axes(tree, z @ away)
    torch.testing.assert_close(matrix.mT @ matrix, torch.eye(4).double())
    assert float(tree.log_prob(z @ away @ matrix).mean()) > best - 0.01
    # features of one facet are again those of one variable
    mixed = (away @ matrix).abs()
    assert float(torch.cat([mixed[:2, 2:], mixed[2:, :2]]).max()) < 0.1


def test_one_feature_has_no_axes_to_turn():
    z = torch.randn(50, 1, generator=seeded(0), dtype=torch.float64)
    tree = LatentTree(TreeStructure.single(1, 1)).double()
    assert turn_axes(tree, z).tolist() == [[1.0]]
    torch.testing.assert_close(tree.loc[0].detach()[0, 0], z.mean())


def test_turns_follow_each_other(monkeypatch):
    z, states = two_facets(103, n=100)
    turns = iter([a_little(1), a_little(2), a_little(3)])
    monkeypatch.setattr(tree_axes, "_likeliest_turn", lambda *_: next(turns))
    matrix = turn_axes(tree_of_truth(z, states), z, max_turns=3, tol=-math.inf, reg_covar=1e-3)
    torch.testing.assert_close(matrix, a_little(1) @ a_little(2) @ a_little(3))


@pytest.mark.parametrize(("tol", "turns"), [(1e9, 2), (-1e9, 5)])
def test_turning_ends_when_it_gains_too_little(monkeypatch, tol, turns):
    z, states = two_facets(103, n=100)
    seen = []
    monkeypatch.setattr(tree_axes, "_likeliest_turn", lambda *_: seen.append(1) or a_little(1))
    turn_axes(tree_of_truth(z, states), z, max_turns=5, tol=tol, reg_covar=1e-3)
    assert len(seen) == turns


@pytest.mark.slow
def test_every_start_is_climbed_from_and_the_best_kept(monkeypatch):
    z, _ = two_facets(105, n=200)
    starts, climbed = [a_little(seed) for seed in range(3)], []

    def spy(search, z, matrix, **limits):
        climbed.append((TurnedSearch(search, matrix), search.path[0][1]))
        return climbed[-1][0]

    monkeypatch.setattr(tree_axes, "turned_climb", spy)
    how = {"max_states": 3, "reg_covar": 1e-3}
    found = search_turned(z, starts, **how, random_state=np.random.RandomState(0))
    assert all(a[0].matrix is b for a, b in zip(climbed, [*starts, starts[0]], strict=False))
    assert len(climbed) == 3 + 1 + 2
    # from the first rotation twice: once by a variable for all features, once by one for each
    assert climbed[0][1] != climbed[3][1]
    assert found.search.bic == max(end.search.bic for end, _ in climbed)


def test_the_search_goes_on_while_the_score_rises():
    z, states = two_facets(101)
    tree = tree_of_truth(z, states)
    away = a_little(1)
    tree_em(tree, z @ away, reg_covar=1e-3)
    start = TreeSearch(tree, tree_bic(tree, z @ away))
    found = turned_climb(start, z, away, max_states=3, reg_covar=1e-3)
    assert found.search.bic > start.bic + 100
    assert found.search.bic == pytest.approx(tree_bic(found.search.tree, z @ found.matrix))
    assert "turn" in [name for name, _ in found.search.path]


@pytest.mark.slow
def test_both_facets_are_found_on_axes_that_mix_them():
    z, states = two_facets(102, n=400)
    # some of the way back, as a component analysis comes
    starts = [a_little(seed).mT for seed in range(2)]
    rows = z
    found = search_turned(
        rows, starts, max_states=3, reg_covar=1e-3, random_state=np.random.RandomState(0)
    )
    labels = [p.argmax(0) for p in found.search.tree.posterior(rows @ found.matrix).nodes]
    best = [max(clustering_accuracy(y, own) for own in labels) for y in states.T]
    assert min(best) > 0.9


@pytest.mark.slow
def test_both_facets_are_found_from_axes_that_say_nothing():
    z, states = two_facets(104, n=400)
    away = torch.linalg.qr(torch.randn(4, 4, generator=seeded(104), dtype=torch.float64))[0]
    found = search_turned(
        z @ away,
        [torch.eye(4).double()],
        max_states=3,
        reg_covar=1e-3,
        random_state=np.random.RandomState(0),
    )
    labels = [p.argmax(0) for p in found.search.tree.posterior(z @ away @ found.matrix).nodes]
    assert min(max(clustering_accuracy(y, own) for own in labels) for y in states.T) > 0.9


def test_what_cannot_be_searched():
    z = torch.randn(9, 2, generator=seeded(0), dtype=torch.float64)
    with pytest.raises(ValueError, match="starts must hold at least one rotation, got none"):
        search_turned(z, [])
    with pytest.raises(ValueError, match="max_states=1"):
        search_turned(z, [torch.eye(2).double()], max_states=1)
