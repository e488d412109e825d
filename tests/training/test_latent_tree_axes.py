"""Axes that are turned for a latent tree."""

import numpy as np
import pytest
import torch

from anabranch.distributions import LatentTree, TreeStructure
from anabranch.metrics import clustering_accuracy
from anabranch.training import search_turned, tree_bic, tree_em, turn_axes
from anabranch.training.tree_axes import turned_climb
from anabranch.training.tree_search import TreeSearch
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
