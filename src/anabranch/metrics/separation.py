"""Whether clusters stand apart, as the model itself sees it."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def bayes_error(posterior: Array) -> float:
    r"""The least share of rows whose component anybody would get wrong, by draws of the model.

    .. math:: 1 - E_{x \sim p} \max_c p(c \mid x)

    Args:
        posterior: p(c|x) of rows that were drawn from the model, (n, K).

    Raises:
        ValueError: for no row.

    Source: Devroye, Györfi, Lugosi (1996), "A probabilistic theory of pattern recognition", 2.1.

    Example:
        >>> bayes_error(np.array([[1.0, 0.0], [0.25, 0.75]]))
        0.125
    """
    if not len(posterior):
        raise ValueError("posterior must hold at least one row, got none")
    return float(1 - posterior.max(1).mean())


def overlaps(posterior: Array, origins: Labels) -> Array:
    r"""How much of each component the others would claim, (K, K), by draws of the model.

    .. math:: o_{kl} = E_{x \sim p(x|k)}\, p(l \mid x)

    Rows sum to one; the diagonal is what a component keeps. A component without a draw has NaN.

    Args:
        posterior: p(c|x) of rows that were drawn from the model, (n, K).
        origins: the component that each was drawn from, (n,).

    Source: Hennig (2010), "Methods for merging Gaussian mixture components", with probabilities in
    place of assignments.

    Example:
        >>> overlaps(np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]), np.array([0, 0, 1]))
        array([[0.75, 0.25],
               [0.  , 1.  ]])
    """
    found = np.full((posterior.shape[1], posterior.shape[1]), np.nan)
    for k in np.unique(origins):
        found[k] = posterior[origins == k].mean(0)
    return found


def density_silhouette(log_posterior: Array) -> Array:
    r"""How clearly each row belongs to its most probable component, (n,), in [0, 1].

    .. math:: s_i = \frac{\log p(c_i \mid x_i) - \log p(c'_i \mid x_i)}{\max_j |\dots|}

    with c the most probable component of a row and c' the second. It is the silhouette with
    distances replaced by what the mixture says, so that clusters may have any shape. One component
    has ones.

    Args:
        log_posterior: log p(c|x), (n, K).

    Source: Menardi (2011), "Density-based silhouette diagnostics for clustering methods",
    Statistics and Computing 21. The largest lead there is bound here to 30 nats, for one row far
    away would let all others look undecided.

    Example:
        >>> density_silhouette(np.log([[0.9, 0.1], [0.5, 0.5]])).round(3)
        array([1., 0.])
    """
    if log_posterior.shape[1] == 1:
        return np.ones(len(log_posterior))
    ordered = np.sort(log_posterior, axis=1)
    second = ordered[:, -2]
    lead = np.minimum(ordered[:, -1] - np.where(np.isfinite(second), second, -np.inf), 30.0)
    return lead / lead.max() if len(lead) and lead.max() > 0 else lead


def connections(weights: Array) -> Array:
    """The best way between all nodes of a graph, as good as its worst edge, (n, n).

    Args:
        weights: of the edges, (n, n), symmetric, the higher the better; -inf where there is none.

    Returns:
        The largest w such that edges of at least w connect two nodes; +inf on the diagonal.

    Source: Hu (1961), "The maximum capacity route problem": it runs along a spanning tree.

    Example:
        >>> w = np.full((3, 3), -np.inf)
        >>> w[0, 1] = w[1, 0] = 5.0
        >>> w[1, 2] = w[2, 1] = 2.0
        >>> float(connections(w)[0, 2])
        2.0
    """
    n = len(weights)
    best = np.full((n, n), -np.inf)
    np.fill_diagonal(best, np.inf)
    group = np.arange(n)
    rows, columns = np.triu_indices(n, 1)
    found = weights[rows, columns]
    order = np.argsort(-found, kind="stable")
    for place in order[np.isfinite(found[order])]:
        one, other = group[rows[place]], group[columns[place]]
        if one != other:
            inside, outside = group == one, group == other
            best[np.ix_(inside, outside)] = best[np.ix_(outside, inside)] = found[place]
            group[outside] = one
    return best
