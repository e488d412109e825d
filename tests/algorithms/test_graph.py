"""Neighbourhood graphs: what they cut, when their clusters are taken, how far labels reach."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_blobs, make_moons

from anabranch.algorithms.gaussians import StartOptions, kmeans_responsibilities
from anabranch.algorithms.graph_clusters import (
    gap_responsibilities,
    neighbor_graph,
    normalized_cut,
    spectral_responsibilities,
    spread_labels,
)
from anabranch.metrics import clustering_accuracy
from anabranch.problems import GaussianMixtureProblem, Pinwheel, TwoCircles


def rings(n=400, seed=0, noise=0.05):
    return TwoCircles(radial_std=noise).sample_per_component(n // 2, random_state=seed)


def state():
    return np.random.RandomState(0)


def gap(X, n_clusters, **options):
    """What the rule finds beside k-means."""
    rows, chosen = np.arange(len(X)), StartOptions(n_clusters, **options)
    other = kmeans_responsibilities(X, rows, chosen, state())
    return gap_responsibilities(X, rows, [other], chosen, state())


def standardized(X):
    return (X - X.mean(0)) / X.std(0)


def test_the_graph_is_symmetric_and_mutual_neighbours_count_twice():
    X = np.random.RandomState(0).randn(60, 3)
    graph = neighbor_graph(X, 5).toarray()
    distances = ((X[:, None] - X) ** 2).sum(-1) + 1e9 * np.eye(60)
    nearest = np.argsort(distances, axis=1)[:, :5]
    directed = np.zeros((60, 60))
    directed[np.arange(60)[:, None], nearest] = 1
    np.testing.assert_array_equal(graph, (directed + directed.T) / 2)


def test_the_cut_is_shi_and_malik_s_divided_by_k():
    X, labels = rings(200)
    labels = (labels + (X[:, 0] > 0)) % 3
    graph = neighbor_graph(X)
    dense, expected = graph.toarray(), 0.0
    for k in range(3):
        own = labels == k
        expected += dense[own][:, ~own].sum() / dense[own].sum() / 3
    assert normalized_cut(graph, labels, 3) == pytest.approx(expected)
    assert normalized_cut(graph, labels, 4) == pytest.approx(expected * 3 / 4 + 1 / 4)


def test_spectral_clusters_are_the_rings_that_kmeans_cuts_in_halves():
    X, ring = rings()
    rows, options = np.arange(400), StartOptions(2)
    R = spectral_responsibilities(X, rows, options, state())
    halves = kmeans_responsibilities(X, rows, options, state())
    assert clustering_accuracy(ring, R.argmax(1)) > 0.99
    assert clustering_accuracy(ring, halves.argmax(1)) < 0.6


def test_rows_beside_the_graph_follow_their_neighbours():
    X, ring = rings(1200)
    R = spectral_responsibilities(X, np.arange(0, 1200, 2), StartOptions(2, max_graph=500), state())
    np.testing.assert_allclose(R.sum(1), 1)
    assert clustering_accuracy(ring, R.argmax(1)) > 0.99


def test_wide_data_are_seen_through_their_leading_components():
    X, ring = rings(600)
    noise = 0.2 * np.random.RandomState(1).randn(600, 60)
    wide = np.concatenate([X, noise], axis=1)
    rows = np.arange(600)
    seen = spectral_responsibilities(wide, rows, StartOptions(2, n_principal=2), state())
    all_ = spectral_responsibilities(wide, rows, StartOptions(2, n_principal=62), state())
    assert clustering_accuracy(ring, seen.argmax(1)) > 0.99
    assert clustering_accuracy(ring, all_.argmax(1)) < 0.9


def test_neighbourhoods_are_widened_until_parts_are_no_more_than_clusters():
    """Twelve islands in three groups: ten neighbours see twelve parts, of which any three do."""
    centres = np.array([[10 * group, member] for group in range(3) for member in range(4)])
    X = np.repeat(centres, 15, axis=0) + 0.05 * np.random.RandomState(0).randn(180, 2)
    R = spectral_responsibilities(X, np.arange(180), StartOptions(3), state())
    assert clustering_accuracy(np.repeat([0, 1, 2], 60), R.argmax(1)) == 1


@pytest.mark.parametrize("seed", range(100, 103))
@pytest.mark.parametrize(
    "data",
    [
        lambda s: rings(1024, s),
        lambda s: rings(1024, s, noise=0.005),
        lambda s: make_moons(1000, noise=0.05, random_state=s),
    ],
    ids=["rings", "thin rings", "moons"],
)
def test_gaps_are_found(data, seed):
    X, labels = data(seed)
    R = gap(standardized(X), 2)
    assert R is not None
    assert clustering_accuracy(labels, R.argmax(1)) > 0.99


def blob_with_island(n_island):
    random = state()
    island = np.array([30.0, 0.0]) + 0.1 * random.randn(n_island, 2)
    return np.concatenate([random.randn(600 - n_island, 2), island])


@pytest.mark.parametrize(
    ("X", "n_clusters"),
    [
        (Pinwheel().sample_per_component(400, random_state=100)[0], 5),
        (GaussianMixtureProblem().sample(1000, random_state=100)[0], 3),
        (make_blobs(1000, centers=4, cluster_std=0.5, random_state=100)[0], 4),
        (rings(1024, 100, noise=0.1)[0], 2),
        (state().uniform(size=(800, 2)), 3),
        (state().randint(0, 3, (600, 2)).astype(float), 3),
        (load_iris(return_X_y=True)[0], 3),
        (blob_with_island(12), 2),
        (rings(60, 0)[0], 2),
        (state().randn(300, 2), 1),
    ],
    ids=[
        "pinwheel",
        "overlapping Gaussians",
        "blobs that k-means finds",
        "rings that touch",
        "no clusters",
        "lattice",
        "iris",
        "a dozen outliers",
        "too few rows",
        "one cluster",
    ],
)
def test_where_there_are_no_gaps_that_others_miss_nothing_is_claimed(X, n_clusters):
    assert gap(standardized(X), n_clusters) is None


def test_nothing_is_claimed_where_another_proposal_has_the_gap():
    X, ring = rings(1024)
    options, rows = StartOptions(2), np.arange(1024)
    halves = np.eye(2)[(X[:, 0] > 0).astype(int)]
    assert gap_responsibilities(X, rows, [halves], options, state()) is not None
    both = [halves, np.eye(2)[ring]]
    assert gap_responsibilities(X, rows, both, options, state()) is None


def test_few_labels_reach_far():
    X, wing = Pinwheel().sample_per_component(300, random_state=0)
    targets = np.zeros((1500, 5))
    for k in range(5):
        targets[np.flatnonzero(wing == k)[:2], k] = 1
    spread = spread_labels(standardized(X), np.arange(1500), targets)
    np.testing.assert_allclose(spread.sum(1), 1)
    assert (spread.argmax(1) == wing).mean() > 0.85


@pytest.mark.parametrize(
    ("X", "n_clusters"),
    [
        (np.zeros((20, 2)), 3),
        (np.repeat([[0.0, 0.0], [1.0, 3.0]], 30, axis=0), 4),
        (np.arange(8.0).reshape(4, 2), 4),
        (np.arange(10.0).reshape(5, 2), 4),
        (np.arange(4.0).reshape(2, 2), 1),
    ],
    ids=["one point", "two points", "as many rows as clusters", "one more", "two rows"],
)
def test_degenerate_rows(X, n_clusters):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        R = spectral_responsibilities(X, np.arange(len(X)), StartOptions(n_clusters), state())
    assert R.shape == (len(X), n_clusters)
    np.testing.assert_allclose(R.sum(1), 1)


def test_the_same_source_gives_the_same_clusters():
    X, _ = rings(300)
    first, second = (
        spectral_responsibilities(X, np.arange(300), StartOptions(4, max_graph=200), state())
        for _ in range(2)
    )
    assert (first == second).all()
