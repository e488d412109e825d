"""A density whose features hang on a tree of discrete variables."""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.distribution import Distribution
from anabranch.distributions.tree_structure import TreeStructure

LOG_2PI = math.log(2 * math.pi)


class TreePosterior(NamedTuple):
    """What is known about the variables of a tree once the features are seen.

    Attributes:
        log_prob: (N,) log-density of the rows, in nats.
        nodes: log p(y_i|z) of each variable, (K_i, N).
        edges: log p(y_i, y_parent|z) of each variable but the first, (K_parent, K_i, N).
    """

    log_prob: Tensor
    nodes: list[Tensor]
    edges: list[Tensor]


class LatentTree(Distribution):
    r"""A tree of discrete variables, and Gaussian pouches of features that depend on them.

    .. math:: p(z) = \sum_{y_1 \dots y_m} p(y_1) \prod_{i=2}^m p(y_i \mid y_{p(i)})
        \prod_b \mathcal N(z_b; \mu_{b, y_{o(b)}}, \Sigma_{b, y_{o(b)}})

    The sum is taken by messages from the leaves to the root, in logs, at a cost that grows with the
    number of variables and not with that of their joint states. A tree of one variable with one
    pouch is a Gaussian mixture.

    Source: Poon, Zhang, Liu, Liu (2013), "Model-based clustering of high-dimensional data: variable
    selection versus facet determination" (pouch latent trees); Li, Chen, Poon, Zhang (2019),
    "Learning latent superstructures in variational autoencoders for deep multidimensional
    clustering", arXiv:1803.05206; the messages: Pearl (1988), "Probabilistic reasoning in
    intelligent systems".

    Args:
        structure: variables, edges and pouches.
        generator: source of the first means, standard normal; the covariances begin at the
            identity, the tables uniform.

    Raises:
        TypeError: where the structure is none.

    Example:
        >>> tree = LatentTree(TreeStructure((3, 2), (-1, 0), ((0, 2), (1,)), (0, 1)))
        >>> z = tree.sample(5, generator=torch.Generator().manual_seed(0))
        >>> tree.log_prob(z).shape, [tuple(p.shape) for p in tree.posterior(z).nodes]
        (torch.Size([5]), [(3, 5), (2, 5)])
    """

    def __init__(self, structure: TreeStructure, *, generator: Generator | None = None) -> None:
        if not isinstance(structure, TreeStructure):
            raise TypeError(f"structure must be a TreeStructure, got {type(structure).__name__}")
        super().__init__((structure.features,))
        self.structure = structure
        pairs = zip(structure.states, structure.parents, strict=True)
        shapes = [(k,) if p < 0 else (structure.states[p], k) for k, p in pairs]
        self.logits = nn.ParameterList(nn.Parameter(torch.zeros(shape)) for shape in shapes)
        self.loc, self.log_scale, self.lower = (nn.ParameterList() for _ in range(3))
        for i, states in enumerate(structure.states):
            size = (states, len(structure.owned(i)))
            self.loc.append(nn.Parameter(torch.randn(size, generator=generator)))
            self.log_scale.append(nn.Parameter(torch.zeros(size)))
            self.lower.append(nn.Parameter(torch.zeros(*size, size[1])))
            self.register_buffer(f"together_{i}", _together(structure, i), persistent=False)

    def together(self, variable: int) -> Tensor:
        """Which features of a variable share a pouch, (d, d) of ones and zeros."""
        return getattr(self, f"together_{variable}")

    def log_tables(self) -> list[Tensor]:
        """Log p(y_1), (K_1,), and log p(y_i|y_parent) of the others, (K_parent, K_i)."""
        return [logits.log_softmax(-1) for logits in self.logits]

    def scale_tril(self, variable: int) -> Tensor:
        """Cholesky factors of the covariances of the features of a variable, (K, d, d).

        They are block-diagonal, with a block for each pouch.
        """
        lower = self.lower[variable].tril(-1) * self.together(variable)
        return lower + torch.diag_embed(self.log_scale[variable].exp())

    def node_log_prob(self, z: Tensor) -> list[Tensor]:
        """Log-density of the features of each variable, given its states: (K_i, N) each."""
        return [self._own_log_prob(i, z) for i in range(len(self.structure.states))]

    def posterior(self, z: Tensor) -> TreePosterior:
        """What features (N, D) tell about the variables."""
        factors, tables = self.node_log_prob(z), self.log_tables()
        messages = self._collect(factors, tables)
        joint = tables[0][:, None] + factors[0]
        log_prob = joint.logsumexp(0)
        nodes, edges = [joint - log_prob], []
        for i, parent in list(enumerate(self.structure.parents))[1:]:
            outside = (nodes[parent] - messages[i])[:, None]
            edges.append(outside + tables[i][..., None] + factors[i])
            nodes.append(edges[-1].logsumexp(0))
        return TreePosterior(log_prob, nodes, edges)

    def information(self, z: Tensor) -> Tensor:
        r"""What the features tell about each variable, in nats, (m,).

        .. math:: I(Y_i; z) = H(E\, p(y_i \mid z)) - E\, H(p(y_i \mid z))
        """
        found = []
        for log_p in self.posterior(z).nodes:
            p = log_p.exp()
            mean = p.mean(1)
            found.append(torch.special.entr(mean).sum() - torch.special.entr(p).sum(0).mean())
        return torch.stack(found)

    def sample_with_labels(
        self, n: int, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw n rows (n, D) with the states (n, m) of the variables."""
        with torch.no_grad():
            return self._draw(n, generator)

    def _own_log_prob(self, variable: int, z: Tensor) -> Tensor:
        columns = z[:, list(self.structure.owned(variable))].mT
        centred = columns - self.loc[variable][..., None]
        scaled = torch.linalg.solve_triangular(self.scale_tril(variable), centred, upper=False)
        log_norm = self.log_scale[variable].sum(-1) + 0.5 * len(columns) * LOG_2PI
        return -0.5 * scaled.square().sum(-2) - log_norm[:, None]

    def _collect(self, factors: list[Tensor], tables: list[Tensor]) -> list[Tensor]:
        """Pass messages to the root; each factor then holds all that is below its variable."""
        messages = list(factors)
        for i in range(len(factors) - 1, 0, -1):
            parent = self.structure.parents[i]
            messages[i] = torch.logsumexp(tables[i][..., None] + factors[i], dim=1)
            factors[parent] = factors[parent] + messages[i]
        return messages

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        factors, tables = self.node_log_prob(x), self.log_tables()
        self._collect(factors, tables)
        return torch.logsumexp(tables[0][:, None] + factors[0], dim=0)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self._draw(n, generator)[0]

    def _draw(self, n: int, generator: Generator | None) -> tuple[Tensor, Tensor]:
        labels = self._draw_states(n, generator)
        x = self.loc[0].new_empty(n, self.structure.features)
        for i, states in enumerate(labels):
            loc, scale = self.loc[i][states], self.scale_tril(i)[states]
            noise = torch.randn(loc.shape, generator=generator, dtype=loc.dtype, device=loc.device)
            x[:, list(self.structure.owned(i))] = loc + (scale @ noise[..., None]).squeeze(-1)
        return x, torch.stack(labels, -1)

    def _draw_states(self, n: int, generator: Generator | None) -> list[Tensor]:
        labels: list[Tensor] = []
        for table, parent in zip(self.log_tables(), self.structure.parents, strict=True):
            rows = table.expand(n, -1) if parent < 0 else table[labels[parent]]
            if n == 0:
                labels.append(torch.zeros(0, dtype=torch.int64, device=table.device))
                continue
            labels.append(torch.multinomial(rows.exp(), 1, generator=generator).squeeze(-1))
        return labels

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{self.event_shape}, states={self.structure.states}"


def _together(structure: TreeStructure, variable: int) -> Tensor:
    """Which features of a variable share a pouch, (d, d) of ones and zeros."""
    own = structure.owned(variable)
    pouch = {j: b for b, features in enumerate(structure.pouches) for j in features}
    numbers = torch.tensor([pouch[j] for j in own])
    return (numbers[:, None] == numbers).to(torch.get_default_dtype())
