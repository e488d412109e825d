"""Neighbourhood graphs: clusters as regions without gaps, labels that spread within them."""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import SpectralClustering
from sklearn.metrics import confusion_matrix
from sklearn.neighbors import KNeighborsClassifier, kneighbors_graph
from sklearn.semi_supervised import LabelSpreading

from anabranch.algorithms.gaussians.starts import StartOptions, leading_components

Array = NDArray[np.float64]
Labels = NDArray[np.integer]

NEIGHBORS = 10
# A gap is where the cut is this many times smaller than that of clusters without regard to gaps.
# Measured: rings, moons and rings around blobs below 0.07, touching clusters 0.2 to 1.
CLEARLY = 0.1
# Weight of the neighbours against the own label in each step of spreading. At 0.2 few labels do not
# reach far (pinwheel with 10: ACC 0.58, at 0.8: 0.92); near 1 they cross where clusters touch.
SPREADING = 0.8
# Sizes of neighbourhood that must agree on so many rows: what is no gap moves with them.
SIZES = (NEIGHBORS, 2 * NEIGHBORS)
AGREEMENT = 0.98
# Clusters below this part of an even share are taken for islands of outliers.
ISLAND = 0.05


def neighbor_graph(X: Array, n_neighbors: int = NEIGHBORS) -> csr_array:
    """Symmetric graph of nearest neighbours, (N, N): weight 1 where mutual, else 1/2.

    Source: von Luxburg (2007), "A tutorial on spectral clustering", arXiv:0711.0189.

    Args:
        X: (N, D).
        n_neighbors: of each row, itself not counted; at most N - 1 are taken.

    Example:
        >>> neighbor_graph(np.array([[0.0], [1.0], [3.0]]), 1).toarray()
        array([[0. , 1. , 0. ],
               [1. , 0. , 0.5],
               [0. , 0.5, 0. ]])
    """
    directed = kneighbors_graph(X, min(n_neighbors, len(X) - 1), include_self=False)
    return csr_array(0.5 * (directed + directed.T))


def normalized_cut(graph: csr_array, labels: Labels, n_clusters: int) -> float:
    r"""Mean over clusters of the share of their edges that leave them, from 0 to 1.

    .. math:: \frac1K \sum_k \frac{\mathrm{cut}(A_k, \bar A_k)}{\mathrm{vol}(A_k)}

    An empty cluster counts 1.

    Source: Shi, Malik (2000), "Normalized cuts and image segmentation", IEEE TPAMI 22 (8).

    Args:
        graph: (N, N), symmetric.
        labels: (N,), 0..K-1.
        n_clusters: K.

    Example:
        >>> line = neighbor_graph(np.array([[0.0], [1.0], [5.0], [6.0]]), 1)
        >>> normalized_cut(line, np.array([0, 0, 1, 1]), 2)
        0.0
        >>> normalized_cut(line, np.array([0, 1, 0, 1]), 2)
        1.0
    """
    members = np.eye(n_clusters)[labels]
    volume = members.T @ graph.sum(axis=1)
    inside = (members * (graph @ members)).sum(axis=0)
    return float(1 - (inside / np.where(volume > 0, volume, 1.0)).mean())


def spectral_responsibilities(
    X: Array, rows: NDArray[np.int64], options: StartOptions, random_state: np.random.RandomState
) -> Array:
    """Clusters by spectral clustering of a neighbourhood graph, (N, K).

    The rows of the graph get theirs with certainty, all others the shares among their neighbours.
    Where the graph falls into more than K parts, its neighbourhoods are widened.

    Source: Ng, Jordan, Weiss (2001), "On spectral clustering", NeurIPS 14; Shi, Malik (2000).

    Args:
        X: (N, D), all to be assigned.
        rows: numbers of the rows that the graph may be made of; ``options.max_graph`` are taken.
        options: K, and the sizes of the search.
        random_state: source of randomness.

    Example:
        >>> angle = np.linspace(0, 6.2, 100)
        >>> ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        >>> X, rows = np.concatenate([ring, 3 * ring]), np.arange(200)
        >>> R = spectral_responsibilities(X, rows, StartOptions(2), np.random.RandomState(0))
        >>> bool((R[:100] == R[0]).all() and (R[100:] == 1 - R[0]).all())
        True
    """
    X, rows = _search_space(X, rows, options, random_state)
    graph = _graph(X[rows], NEIGHBORS, options.n_components)
    return _assign(X, rows, _partition(graph, options.n_components, random_state), options)


def gap_responsibilities(
    X: Array,
    rows: NDArray[np.int64],
    others: Sequence[Array],
    options: StartOptions,
    random_state: np.random.RandomState,
) -> Array | None:
    """Spectral clusters where gaps in the data set them apart from all other proposals, else None.

    The rule sees no labels and no likelihood, which prefers half planes on rings. The normalised
    cut must be clearly lower than that of every other proposal, for two sizes of neighbourhood
    whose clusters agree; no cluster may be an island of a few outliers, nor the graph fall into
    more than K parts. With fewer than fifty rows per cluster there is no telling.

    Args:
        X: (N, D), all to be assigned.
        rows: numbers of the rows that the graph may be made of.
        others: (N, K) responsibilities of other proposals, such as k-means.
        options: K, and the sizes of the search.
        random_state: source of randomness.

    Returns:
        (N, K) as from `spectral_responsibilities`, or None.
    """
    n_components = options.n_components
    if n_components < 2 or len(rows) < 5 * NEIGHBORS * n_components:
        return None
    X, rows = _search_space(X, rows, options, random_state)
    rivals = [R[rows].argmax(axis=1) for R in others]
    found = list(_gaps(X[rows], rivals, n_components, random_state))
    if len(found) < len(SIZES) or not _agree(found[0], found[-1], n_components):
        return None
    return _assign(X, rows, found[0], options)


def spread_labels(X: Array, rows: NDArray[np.int64], targets: Array) -> Array:
    """Responsibilities that spread from labelled rows over a neighbourhood graph, (N, K).

    Source: Zhou et al. (2003), "Learning with local and global consistency", NeurIPS 16.

    Args:
        X: (N, D), all to be assigned.
        rows: numbers of the rows that the graph is made of; some of each class are labelled.
        targets: (N, K) labels, rows of zeros where unknown.

    Example:
        >>> X = np.concatenate([np.linspace(0, 1, 20), np.linspace(5, 6, 20)])[:, None]
        >>> targets = np.zeros((40, 2))
        >>> targets[0, 0] = targets[39, 1] = 1
        >>> spread_labels(X, np.arange(40), targets).argmax(1).tolist() == [0] * 20 + [1] * 20
        True
    """
    known = targets.sum(axis=1) > 0
    labels = np.where(known, targets.argmax(1), -1)
    n_neighbors = min(NEIGHBORS, len(rows) - 1)
    graph = LabelSpreading(kernel="knn", n_neighbors=n_neighbors, alpha=SPREADING, max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged, or rows no label reaches: both are mended
        spread = np.nan_to_num(graph.fit(X[rows], labels[rows]).predict_proba(X))
    spread[spread.sum(1) == 0] = 1.0
    spread = spread / spread.sum(1, keepdims=True)
    return np.where(known[:, None], targets, spread)


def _search_space(
    X: Array, rows: NDArray[np.int64], options: StartOptions, random_state: np.random.RandomState
) -> tuple[Array, NDArray[np.int64]]:
    """Rows in few dimensions, and which of them the graph is made of."""
    X = leading_components(X, rows, options, random_state)
    if len(rows) > options.max_graph:
        rows = np.sort(random_state.choice(rows, options.max_graph, replace=False))
    return X, rows


def _graph(X: Array, n_neighbors: int, max_parts: int) -> csr_array:
    """The graph with at most so many parts: from more, any choice of K groups cuts nothing."""
    graph = neighbor_graph(X, n_neighbors)
    while _n_parts(graph) > max_parts and n_neighbors < len(X) - 1:
        n_neighbors *= 2
        graph = neighbor_graph(X, n_neighbors)
    return graph


def _n_parts(graph: csr_array) -> int:
    return connected_components(graph, directed=False, return_labels=False)


def _partition(graph: csr_array, n_clusters: int, random_state: np.random.RandomState) -> Labels:
    n_rows = len(graph.indptr) - 1
    if n_rows <= n_clusters:
        return np.arange(n_rows)
    clustering = SpectralClustering(n_clusters, affinity="precomputed", random_state=random_state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a graph in several parts is what is hoped for
        return clustering.fit_predict(graph)


def _gaps(
    X: Array,
    rivals: Sequence[Labels],
    n_clusters: int,
    random_state: np.random.RandomState,
) -> Iterator[Labels]:
    """For each size of neighbourhood the clusters that gaps set apart, until one has no gaps."""
    for n_neighbors in SIZES:
        graph = neighbor_graph(X, n_neighbors)
        if _n_parts(graph) > n_clusters:  # a lattice of repeated values: any choice is arbitrary
            return
        labels = _partition(graph, n_clusters, random_state)
        smallest = np.bincount(labels, minlength=n_clusters).min()
        cut = normalized_cut(graph, labels, n_clusters)
        best = min(normalized_cut(graph, rival, n_clusters) for rival in rivals)
        clear = cut < CLEARLY * best and smallest >= ISLAND * len(X) / n_clusters
        if not clear:
            return
        yield labels


def _agree(first: Labels, second: Labels, n_clusters: int) -> bool:
    """Whether two partitions are one but for names and a few rows."""
    table = confusion_matrix(first, second, labels=np.arange(n_clusters))
    return bool(table.max(axis=1).sum() >= AGREEMENT * len(first))


def _assign(X: Array, rows: NDArray[np.int64], labels: Labels, options: StartOptions) -> Array:
    """Responsibilities of all rows from the labels of some, by their neighbours."""
    classifier = KNeighborsClassifier(min(NEIGHBORS, len(rows)))
    responsibilities = np.zeros((len(X), options.n_components))
    responsibilities[:, np.unique(labels)] = classifier.fit(X[rows], labels).predict_proba(X)
    responsibilities[rows] = np.eye(options.n_components)[labels]
    return responsibilities
