"""Expectation maximisation for latent trees, on all rows or on one batch after the other."""

from dataclasses import dataclass

import torch
from torch import Tensor

from anabranch.distributions.latent_tree import LatentTree, TreePosterior

# Share of rows that each entry of a table is given in advance, so that none is ever zero.
LEAST = 1e-12


@dataclass(frozen=True)
class TreeStatistics:
    r"""Expected sufficient statistics of a latent tree, means over rows.

    Attributes:
        tables: E p(y_1|z), (K_1,), and E p(y_parent, y_i|z) of the others, (K_parent, K_i).
        mass: E p(y_i|z) of each variable, (K_i,).
        sums: E p(y_i|z) z, (K_i, d_i), of its own features.
        squares: E p(y_i|z) z zᵀ of them, (K_i, d_i, d_i).
    """

    tables: list[Tensor]
    mass: list[Tensor]
    sums: list[Tensor]
    squares: list[Tensor]

    def blend(self, new: "TreeStatistics", eta: float) -> "TreeStatistics":
        r"""The running average :math:`(1 - \eta) s + \eta s'`."""
        pairs = ((getattr(self, n), getattr(new, n)) for n in self.__dataclass_fields__)
        return TreeStatistics(
            *([a + eta * (b - a) for a, b in zip(old, fresh, strict=True)] for old, fresh in pairs)
        )


@torch.no_grad()
def tree_statistics(tree: LatentTree, z: Tensor) -> TreeStatistics:
    """The expectation step: statistics of rows (N, D) under the tree.

    Example:
        >>> from anabranch.distributions import TreeStructure
        >>> tree = LatentTree(TreeStructure.single(2, 3))
        >>> float(tree_statistics(tree, torch.zeros(5, 2)).tables[0].sum().round(decimals=5))
        1.0
    """
    posterior = tree.posterior(z)
    return _statistics(tree, z, posterior)


def _statistics(tree: LatentTree, z: Tensor, posterior: TreePosterior) -> TreeStatistics:
    tables = [p.exp().mean(-1) for p in (posterior.nodes[0], *posterior.edges)]
    return moments(tree, z, [log_p.exp() for log_p in posterior.nodes], tables)


def moments(
    tree: LatentTree, z: Tensor, nodes: list[Tensor], tables: list[Tensor]
) -> TreeStatistics:
    """Statistics of rows (N, D) for given p(y_i|z), (K_i, N), and means of those of the edges."""
    mass, sums, squares = [], [], []
    for i, p in enumerate(nodes):
        own = z[:, list(tree.structure.owned(i))]
        weighted = p[..., None] * own
        mass.append(p.mean(-1))
        sums.append(weighted.mean(1))
        squares.append(weighted.mT @ own / len(z))
    return TreeStatistics(tables, mass, sums, squares)


@torch.no_grad()
def maximise(tree: LatentTree, statistics: TreeStatistics, *, reg_covar: float = 0.0) -> None:
    """The maximisation step, in place.

    Args:
        tree: to be changed.
        statistics: of `tree_statistics`, or a running average of them.
        reg_covar: added to the variances.

    Raises:
        ValueError: where a covariance is singular; a larger ``reg_covar`` helps.
    """
    for logits, table in zip(tree.logits, statistics.tables, strict=True):
        # logits of all rows of a table are normalised where they are read
        logits.copy_((table + LEAST).log())
    for i in range(len(tree.structure.states)):
        mass = statistics.mass[i][:, None] + LEAST
        loc = statistics.sums[i] / mass
        covariance = statistics.squares[i] / mass[..., None] - loc[..., None] * loc[:, None]
        # a state without rows has no moments: it is given a unit covariance at zero
        empty = (mass <= 2 * LEAST).to(mass) + reg_covar
        _set_variable(
            tree, i, loc, covariance * tree.together(i) + torch.diag_embed(empty.expand_as(loc))
        )


def _set_variable(tree: LatentTree, variable: int, loc: Tensor, covariance: Tensor) -> None:
    scale_tril, info = torch.linalg.cholesky_ex(covariance)
    if bool(info.any()) or not bool(torch.isfinite(scale_tril).all()):
        raise ValueError(
            f"a covariance of the features {list(tree.structure.owned(variable))} is singular: too "
            "few distinct rows in a state; give a larger reg_covar"
        )
    tree.loc[variable].copy_(loc)
    tree.log_scale[variable].copy_(scale_tril.diagonal(dim1=-2, dim2=-1).log())
    tree.lower[variable].copy_(scale_tril.tril(-1))


@torch.no_grad()
def tree_em(
    tree: LatentTree,
    z: Tensor,
    *,
    max_iter: int = 100,
    tol: float = 1e-4,
    reg_covar: float = 0.0,
) -> list[float]:
    """Alternate both steps on all rows, in place.

    Without regularisation the log-likelihood never falls.

    Args:
        tree: where to start; it is left after the last maximisation step.
        z: (N, D) in the precision of the tree; float64 is advised.
        max_iter: upper limit of iterations.
        tol: smallest gain of the mean log-density, in nats, to go on.
        reg_covar: added to the variances.

    Returns:
        The mean log-density of the rows before each step, and after the last, in nats.

    Raises:
        ValueError: where a covariance becomes singular.

    Example:
        >>> from anabranch.distributions import TreeStructure
        >>> z = torch.tensor([[-5.0], [-4.9], [5.0], [5.1]], dtype=torch.float64)
        >>> source = torch.Generator().manual_seed(0)
        >>> tree = LatentTree(TreeStructure.single(1, 2), generator=source).double()
        >>> path = tree_em(tree, z, max_iter=20)
        >>> sorted(tree.loc[0].detach().flatten().round(decimals=2).tolist())
        [-4.95, 5.05]
    """
    path: list[float] = []
    for _ in range(max_iter):
        posterior = tree.posterior(z)
        path.append(float(posterior.log_prob.mean()))
        if len(path) > 1 and path[-1] - path[-2] < tol:
            return path
        maximise(tree, _statistics(tree, z, posterior), reg_covar=reg_covar)
    path.append(float(tree.log_prob(z).mean()))
    return path


class StepwiseEM:
    r"""Follows rows that come in batches: running averages of the statistics, then a step.

    .. math:: s \leftarrow (1 - \eta)\, s + \eta\, s(z_{\text{batch}})

    With eta = 1 and all rows as the batch it is EM.

    Source: Cappé, Moulines (2009), "On-line expectation-maximization algorithm for latent data
    models", arXiv:0712.4273; Liang, Klein (2009), "Online EM for unsupervised models".

    Args:
        tree: changed in place by ``step``.
        z: (N, D) rows that the first statistics are of.
        eta: weight of a batch, in (0, 1].
        reg_covar: added to the variances.

    Raises:
        ValueError: for an eta outside (0, 1].

    Example:
        >>> from anabranch.distributions import TreeStructure
        >>> tree = LatentTree(TreeStructure.single(1, 1)).double()
        >>> em = StepwiseEM(tree, torch.tensor([[-1.0], [1.0]]).double(), eta=0.5)
        >>> em.step(torch.tensor([[1.0], [3.0]]).double())
        >>> round(tree.loc[0].item(), 6)  # half of the way from 0 to 2
        1.0
    """

    def __init__(self, tree: LatentTree, z: Tensor, *, eta: float, reg_covar: float = 0.0) -> None:
        if not 0 < eta <= 1:
            raise ValueError(f"eta must be in (0, 1], got {eta}")
        self.tree, self.eta, self.reg_covar = tree, eta, reg_covar
        self.statistics = tree_statistics(tree, z)

    def step(self, z: Tensor) -> None:
        """Take in a batch (n, D), and set the parameters to what the averages say."""
        self.statistics = self.statistics.blend(tree_statistics(self.tree, z), self.eta)
        maximise(self.tree, self.statistics, reg_covar=self.reg_covar)
