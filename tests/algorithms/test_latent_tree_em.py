"""EM for latent trees: it climbs, it finds what is known, and batches come to the same end."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score
from sklearn.mixture import GaussianMixture

from anabranch.algorithms.trees.moves import (
    TreePlan,
    add_node,
    build_tree,
    drop_node,
    pouch,
    tree_moves,
    unpouch,
)
from anabranch.algorithms.trees.search import (
    chow_liu,
    climb,
    search_tree,
    separate_start,
    single_start,
    tree_bic,
)
from anabranch.algorithms.trees.stepwise_em import (
    StepwiseEM,
    maximise,
    moments,
    tree_em,
    tree_statistics,
)
from anabranch.distributions import LatentTree, TreeStructure
from anabranch.metrics import clustering_accuracy
from tests.registry import perturb, seeded

TWO = TreeStructure((2, 3), (-1, 0), ((0, 1), (2,), (3,)), (0, 1, 1))


def rows(n=600, seed=0):
    """Rows of a tree that is known, the states behind, and the tree."""
    tree = perturb(LatentTree(TWO, generator=seeded(5)), std=0.3).double()
    with torch.no_grad():
        tree.loc[0].copy_(torch.tensor([[-3.0, 0.0], [3.0, 1.0]]))
        tree.loc[1].copy_(torch.tensor([[-5.0, 0.0], [0.0, 4.0], [5.0, -4.0]]))
    return *tree.sample_with_labels(n, seeded(seed)), tree


@pytest.mark.parametrize("seed", range(4))
def test_the_likelihood_never_falls(seed):
    z, _, _ = rows()
    tree = LatentTree(TWO, generator=seeded(seed)).double()
    path = np.array(tree_em(tree, z, max_iter=40, tol=-1))
    assert len(path) == 41
    assert (np.diff(path) > -1e-9).all()
    assert path[-1] > path[0] + 1
    assert path[-1] == pytest.approx(float(tree.log_prob(z).mean().detach()))


def test_a_known_tree_is_recovered():
    z, states, truth = rows(20_000)
    tree = LatentTree(TWO, generator=seeded(0)).double()
    tree.load_state_dict(truth.state_dict())
    perturb(tree, std=0.3)
    tree_em(tree, z, tol=1e-7, max_iter=200)
    for own, known in zip(tree.log_tables(), truth.log_tables(), strict=True):
        torch.testing.assert_close(own.exp(), known.exp(), atol=0.03, rtol=0)
    for i in range(2):
        torch.testing.assert_close(tree.loc[i], truth.loc[i], atol=0.15, rtol=0)
        covariances = [t.scale_tril(i) @ t.scale_tril(i).mT for t in (tree, truth)]
        torch.testing.assert_close(*covariances, atol=0.25, rtol=0.1)
        found = tree.posterior(z).nodes[i].argmax(0)
        assert clustering_accuracy(states[:, i], found) > 0.97


def test_one_variable_is_a_gaussian_mixture():
    z = rows()[0]
    tree = single_start(z, 3, full=True, max_iter=0, random_state=np.random.RandomState(0))
    weights = tree.log_tables()[0].exp().detach().numpy()
    scale = tree.scale_tril(0).detach()
    theirs = GaussianMixture(
        3,
        weights_init=weights,
        means_init=tree.loc[0].detach().numpy(),
        precisions_init=torch.linalg.inv(scale @ scale.mT).numpy(),
        reg_covar=0.0,
        tol=1e-9,
        max_iter=500,
    ).fit(z.numpy())
    tree_em(tree, z, tol=1e-9, max_iter=500)
    np.testing.assert_allclose(
        tree.log_prob(z).detach(), theirs.score_samples(z.numpy()), atol=1e-4
    )
    assert -2 * tree_bic(tree, z) == pytest.approx(theirs.bic(z.numpy()), abs=0.05)


def test_the_score_by_hand():
    tree = LatentTree(TreeStructure.single(1, 1)).double()
    with torch.no_grad():
        tree.loc[0].zero_()
    z = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)
    fitted = -1.5 * math.log(2 * math.pi) - 0.5 * (0 + 1 + 4)
    assert tree_bic(tree, z) == pytest.approx(fitted - 0.5 * 2 * math.log(3))
    assert tree_bic(tree, z, 30) == pytest.approx(10 * fitted - 0.5 * 2 * math.log(30))


def test_a_step_of_all_rows_with_weight_one_is_em():
    z = rows()[0]
    trees = [LatentTree(TWO, generator=seeded(1)).double() for _ in range(2)]
    tree_em(trees[0], z, max_iter=3, tol=-1)
    stepwise = StepwiseEM(trees[1], z[:50], eta=1.0)
    for _ in range(3):
        stepwise.step(z)
    for a, b in zip(trees[0].parameters(), trees[1].parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_batches_come_to_the_end_of_em():
    z, _, truth = rows(4000)
    tree = perturb(LatentTree(TWO, generator=seeded(0)).double(), std=0.0)
    tree.load_state_dict(truth.state_dict())
    perturb(tree, std=0.3)
    before = float(tree.log_prob(z).mean().detach())
    stepwise = StepwiseEM(tree, z, eta=0.05)
    for start in range(0, 4000, 100):
        stepwise.step(z[start : start + 100])
    reached = float(tree.log_prob(z).mean().detach())
    best = tree_em(truth, z, tol=1e-8)[-1]
    assert before < best - 0.05
    assert reached > best - 0.01


def test_running_averages_are_averages():
    z, _, tree = rows(200)
    one, other = tree_statistics(tree, z[:100]), tree_statistics(tree, z[100:])
    both = tree_statistics(tree, z)
    mixed = one.blend(other, 0.5)
    for name in ("tables", "mass", "sums", "squares"):
        for a, b in zip(getattr(mixed, name), getattr(both, name), strict=True):
            torch.testing.assert_close(a, b)
    with pytest.raises(ValueError, match=r"eta must be in \(0, 1\], got 1.5"):
        StepwiseEM(tree, z, eta=1.5)


def test_features_of_two_pouches_have_their_own_variances():
    z = torch.randn(50, 3, generator=seeded(0), dtype=torch.float64)
    z[:, 1] += 2 * z[:, 0]
    z[:, 2] -= z[:, 1]
    tree = LatentTree(TreeStructure((1,), (-1,), ((0, 2), (1,)), (0, 0))).double()
    maximise(tree, tree_statistics(tree, z))
    together = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]).double()
    found = (tree.scale_tril(0) @ tree.scale_tril(0).mT)[0]
    torch.testing.assert_close(found, torch.cov(z.mT, correction=0) * together)


def test_a_state_without_rows_is_left_at_the_origin():
    z = 5 + torch.randn(20, 2, generator=seeded(0), dtype=torch.float64)
    tree = LatentTree(TreeStructure.single(2, 2)).double()
    node = torch.tensor([[1.0], [0.0]]).double().expand(2, 20)
    maximise(tree, moments(tree, z, [node], [node.mean(1)]))
    torch.testing.assert_close(tree.loc[0], torch.stack([z.mean(0), torch.zeros(2).double()]))
    torch.testing.assert_close(tree.scale_tril(0)[1], torch.eye(2).double())
    assert float(tree.log_tables()[0][1].detach()) < -25


def test_a_singular_covariance_is_named():
    z = torch.zeros(10, 4, dtype=torch.float64)
    tree = LatentTree(TWO).double()
    with pytest.raises(ValueError, match=r"covariance of the features \[0, 1\] is singular"):
        maximise(tree, tree_statistics(tree, z))
    maximise(tree, tree_statistics(tree, z), reg_covar=1e-3)
    assert torch.isfinite(tree.log_prob(z)).all()


# -- moves ---------------------------------------------------------------------------------------


def test_a_plan_builds_the_tree_that_it_is_of():
    z, _, truth = rows(2000)
    tree_em(truth, z, tol=1e-10, max_iter=500)
    again = build_tree(TreePlan.of(truth, z), z)
    assert again.structure == truth.structure
    torch.testing.assert_close(again.loc[1], truth.loc[1], atol=1e-2, rtol=0)


def test_moves_by_hand():
    z, _, truth = rows()
    plan = TreePlan.of(truth, z)
    found = {}
    for name, changed in tree_moves(plan, z, max_states=3):
        for node in changed.nodes:
            torch.testing.assert_close(node.sum(0), torch.ones(len(z)).double())
        tree = build_tree(changed, z, reg_covar=1e-6)
        assert tree.structure.features == 4
        found.setdefault(name, []).append(tree.structure)
    # the second variable has three states already; no variable has three pouches and neighbours
    assert [s.states for s in found["add state"]] == [(3, 3), (3, 3)]
    assert [s.states for s in found["drop state"]] == [(1, 3), (2, 2), (2, 2), (2, 2)]
    assert [s.states for s in found["add node"]] == [(2, 3, 2)]
    assert sorted(s.states for s in found["drop node"]) == [(2,), (3,)]
    # the first pouch alone leaves a leaf without features, which goes
    assert sorted(s.states for s in found["relocate"]) == [(2, 3), (2, 3), (3,)]
    assert [s.pouches for s in found["pouch"]] == [((0, 1), (2, 3))]
    assert [set(s.pouches) for s in found["unpouch"]] == [{(0,), (1,), (2,), (3,)}] * 2


def test_a_variable_that_goes_leaves_all_to_one_neighbour():
    star = TreeStructure((2, 2, 2, 2), (-1, 0, 0, 0), ((0,), (1,), (2,), (3,)), (0, 1, 2, 3))
    plan = TreePlan.of(LatentTree(star), torch.zeros(5, 4))
    found = {(tuple(sorted(c.edges)), tuple(c.owners)) for c in drop_node(plan)}
    # without the centre, variables 1 to 3 are 0 to 2: each in turn has its pouch and the others
    assert {(((0, 1), (0, 2)), (0, 0, 1, 2)), (((0, 1), (1, 2)), (1, 0, 1, 2))} <= found
    assert (((0, 2), (1, 2)), (2, 0, 1, 2)) in found
    # a leaf leaves its pouch to the centre, the edges stay
    assert {
        (((0, 1), (0, 2)), owners) for owners in ((0, 0, 1, 2), (0, 1, 0, 2), (0, 1, 2, 0))
    } <= found
    assert len(found) == 5


def test_pouches_stay_with_their_variable():
    two = TreeStructure((2, 2), (-1, 0), ((0, 1), (2, 3), (4,)), (0, 1, 1))
    plan = TreePlan.of(LatentTree(two), torch.zeros(5, 5))
    found = [(set(c.pouches), c.owners) for c in pouch(plan)]
    assert found == [({(0, 1), (2, 3, 4)}, [0, 1])]
    apart = [dict(zip(c.pouches, c.owners, strict=True)) for c in unpouch(plan)]
    assert {(0,): 0, (1,): 0, (2, 3): 1, (4,): 1} in apart
    assert {(0, 1): 0, (2,): 1, (3,): 1, (4,): 1} in apart
    assert len(apart) == 4


def test_tables_of_a_plan_are_counts_of_pairs():
    a, b = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 1, 1, 2, 1])
    nodes = [torch.eye(k, dtype=torch.float64)[y].mT for k, y in ((2, a), (3, b))]
    z = torch.stack([a + 0.1 * b, b - 0.1 * a], 1).double()
    plan = TreePlan(nodes, frozenset({(0, 1)}), [(0,), (1,)], [0, 1])
    tree = build_tree(plan, z, reg_covar=1e-3)
    first, second = (table.exp() for table in tree.log_tables())
    torch.testing.assert_close(first, torch.tensor([2 / 5, 3 / 5]).double())
    known = torch.tensor([[1 / 2, 1 / 2, 0], [0, 2 / 3, 1 / 3]], dtype=torch.float64)
    torch.testing.assert_close(second, known, atol=1e-9, rtol=0)
    torch.testing.assert_close(tree.loc[1][:, 0], torch.tensor([0.0, 0.9 + 0.1 / 3, 1.9]).double())


def test_a_new_variable_splits_features_in_units_of_their_own():
    y = torch.arange(200) % 2
    wide = 100 * torch.rand(200, generator=seeded(0))
    z = torch.stack([y + 0.05 * torch.randn(200, generator=seeded(1)), wide, wide.flip(0)], 1)
    plan = TreePlan.of(LatentTree(TreeStructure.single(3, 2, full=False)), z)
    halves = next(c.nodes[1] for c in add_node(plan, z) if c.owners == [1, 1, 0])
    assert clustering_accuracy(y, halves.argmax(0)) == 1


def test_branches_are_moved():
    chain = TreeStructure((2, 2, 2, 2), (-1, 0, 1, 2), ((0,), (1,), (2,), (3,)), (0, 1, 2, 3))
    tree = perturb(LatentTree(chain, generator=seeded(0))).double()
    z = torch.randn(50, 4, generator=seeded(1), dtype=torch.float64)
    plan = TreePlan.of(tree, z)
    trees = {
        c.edges for n, c in tree_moves(plan, z, 2) if n == "relocate" and c.owners == plan.owners
    }
    assert frozenset({(0, 2), (1, 2), (2, 3)}) in trees
    assert frozenset({(0, 1), (1, 2), (1, 3)}) in trees
    assert all(len(edges) == 3 and edges != plan.edges for edges in trees)


# -- search --------------------------------------------------------------------------------------


def two_facets(seed, n=1000):
    """Two independent variables of three states, each behind three of six features."""
    random = np.random.RandomState(seed)
    states = random.randint(3, size=(n, 2))
    corners = 3.5 * np.array([[1.0, 0.0, 0.5], [-0.5, 0.87, -0.5], [-0.5, -0.87, 0.2]])
    z = np.concatenate([corners[states[:, 0]], corners[states[:, 1]][:, [1, 2, 0]]], 1)
    z = torch.as_tensor(z + random.randn(n, 6))
    return z[:, [3, 0, 4, 1, 5, 2]], states


@pytest.mark.parametrize("start", ["single", "separate"])
def test_two_facets_are_found(start):
    z, states = two_facets(100)
    random_state = np.random.RandomState(0)
    if start == "single":
        first = single_start(z, 2, random_state=random_state)
    else:
        first = separate_start(z, max_states=4, random_state=random_state)
    found = climb(first, z, max_states=4)
    structure = found.tree.structure
    if start == "single":
        assert structure.states == (3, 3)
        assert {structure.owned(0), structure.owned(1)} == {(0, 2, 4), (1, 3, 5)}
    labels = [log_p.argmax(0) for log_p in found.tree.posterior(z).nodes]
    accuracies = [max(clustering_accuracy(y, own) for own in labels) for y in states.T]
    assert min(accuracies) > 0.9
    scores = [score for _, score in found.path]
    assert scores == sorted(scores)
    assert found.bic == scores[-1] == pytest.approx(tree_bic(found.tree, z))


@pytest.mark.slow
def test_the_better_of_both_starts_is_kept():
    z, _ = two_facets(101, n=300)
    random_state = np.random.RandomState(0)
    firsts = (
        single_start(z, 2, random_state=random_state),
        separate_start(z, max_states=3, random_state=random_state),
    )
    ends = [climb(first, z, max_states=3).bic for first in firsts]
    assert abs(ends[0] - ends[1]) > 1
    found = search_tree(z, max_states=3, random_state=np.random.RandomState(0))
    assert found.bic == pytest.approx(max(ends))


def test_the_likeliest_of_several_starts_is_kept():
    z = two_facets(100, n=200)[0]
    one, random_state = {"max_iter": 3}, np.random.RandomState(0)
    ends = [
        float(single_start(z, 4, **one, random_state=random_state).log_prob(z).mean().detach())
        for _ in range(5)
    ]
    assert max(ends) > min(ends) + 0.01
    best = single_start(z, 4, n_init=5, **one, random_state=np.random.RandomState(0))
    assert float(best.log_prob(z).mean().detach()) == pytest.approx(max(ends))


def test_each_feature_alone_has_the_states_that_its_clusters_ask_for():
    random = np.random.RandomState(0)
    states = np.stack([random.randint(k, size=400) for k in (2, 3, 4)], 1)
    z = torch.as_tensor(6.0 * states + random.randn(400, 3))
    tree = separate_start(z, max_states=5, random_state=np.random.RandomState(0))
    owned = {tree.structure.owned(i): k for i, k in enumerate(tree.structure.states)}
    assert owned == {(0,): 2, (1,): 3, (2,): 4}


def test_the_tree_of_chow_and_liu_tells_most_of_all():
    random = np.random.RandomState(0)
    y = [random.randint(3, size=500)]
    for source in (0, 0, 1, 3):  # each a noisy copy of one before
        y.append(np.where(random.rand(500) < 0.7, y[source], random.randint(3, size=500)))
    nodes = [np.eye(3)[own] for own in y]
    told = {pair: mutual_info_score(y[pair[0]], y[pair[1]]) for pair in combinations(range(5), 2)}
    trees = [edges for edges in combinations(told, 4) if is_connected(edges, 5)]
    assert len(trees) == 5**3  # Cayley
    best = max(trees, key=lambda edges: sum(told[pair] for pair in edges))
    assert chow_liu(nodes) == frozenset(best)


def is_connected(edges, n):
    reached = {0}
    for _ in range(n):
        reached |= {v for pair in edges if reached & set(pair) for v in pair}
    return len(reached) == n


def test_noise_is_one_state_or_two():
    z = torch.randn(400, 3, generator=seeded(0), dtype=torch.float64)
    found = search_tree(z, max_states=3, random_state=np.random.RandomState(0))
    assert set(found.tree.structure.states) == {1}


@pytest.mark.parametrize(
    ("z", "max_states", "message"),
    [
        (torch.zeros(1, 2), 2, "at least 2 rows"),
        (torch.randn(9, 2, generator=seeded(0)), 1, "max_states=1"),
        (torch.zeros(9, 2), 2, "does not vary"),
    ],
)
def test_what_cannot_be_searched(z, max_states, message):
    with pytest.raises(ValueError, match=message):
        search_tree(z.double(), max_states=max_states)
