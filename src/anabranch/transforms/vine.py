"""Vine copulas as flows: the Rosenblatt transform of normal scores."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from anabranch.contracts.transform import Transform
from anabranch.functional.pair_copulas import PairCopula, pair_copula
from anabranch.functional.shapes import Shape
from anabranch.networks.amortised import Amortised

Pair = tuple[Tensor, Tensor]
SPREAD = 0.1  # of the raw parameters at the start


class Vine(Transform):
    r"""Make dependent normal scores independent, by a copula for each of many pairs.

    .. math:: z_j = \Phi^{-1}(F(x_j \mid x_1, \dots, x_{j-1})), \qquad
        \log p(x) = \sum_j \log\varphi(x_j) + \sum_{k} \sum_{e \in T_k} \log c_e

    Tree :math:`T_k` holds the D - k pairs of which each is conditional on k - 1 variables. Before a
    standard normal the transform is the density of the vine, where columns are normal scores
    :math:`x_j = \Phi^{-1}(u_j)` of uniforms: put maps of single columns before it for other
    marginals, and a `Permutation` for another order of the variables. The parameters are free, or
    an MLP's of the context.

    Source: Aas, Czado, Frigessi, Bakken (2009), "Pair-copula constructions of multiple
    dependence"; Rosenblatt (1952), "Remarks on a multivariate transformation".

    Args:
        features: D, two or more.
        families: a name for all pairs, or one for each tree: "gaussian", "clayton" or "frank",
            with 90, 180 or 270 behind it for a copula that is turned.
        trees: how many trees are there; beyond them variables are independent, given the others.
            None for all D - 1.
        context_features: size of the context; 0 for free parameters.
        hidden: hidden sizes of the MLP, used with a context only.
        batch_shape: the component axis.
        generator: source of the initial parameters, which are near independence.

    Raises:
        ValueError: for fewer than two features, a number of trees or families that cannot be, or
            an unknown family.
    """

    def __init__(
        self,
        features: int,
        *,
        families: str | Sequence[str] = "gaussian",
        trees: int | None = None,
        context_features: int = 0,
        hidden: Sequence[int] = (64,),
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape, context_shape=context_features)
        trees = features - 1 if trees is None else trees
        if not 1 <= trees < features:
            raise ValueError(
                f"a vine has at least two features, and trees between 1 and one less than these: "
                f"got features={features}, trees={trees}"
            )
        names = [families] * trees if isinstance(families, str) else list(families)
        if len(names) != trees:
            raise ValueError(f"families must be one name, or {trees} for the trees, got {names}")
        self.families: list[PairCopula] = [pair_copula(name) for name in names]
        self.sizes = [features - 1 - k for k in range(trees)]
        starts = [f.start for f, n in zip(self.families, self.sizes, strict=True) for _ in range(n)]
        # apart from each other, so that the components of a mixture are not alike
        initial = SPREAD * torch.randn(*batch_shape, len(starts), 1, generator=generator)
        initial += torch.tensor(starts).unsqueeze(-1)
        self.parameters_of = Amortised(
            initial,
            context_features=context_features,
            hidden=hidden,
            batch_shape=batch_shape,
            generator=generator,
        )

    def pairs(self, context: Tensor | None = None) -> list[Tensor]:
        r"""The parameters of the families, tree by tree, (\*batch_shape, D - k, 1 or N)."""
        trees = zip(self.families, self._trees(context), strict=True)
        return [family.parameter(raw) for family, raw in trees]

    @torch.no_grad()
    def set_pairs(self, values: Sequence[Tensor]) -> None:
        r"""Set the parameters, tree by tree, (\*batch_shape, D - k), of a vine without context.

        Raises:
            ValueError: for another number of trees.
        """
        if len(values) != len(self.families):
            raise ValueError(f"values must be {len(self.families)} tensors, got {len(values)}")
        raws = [family.raw(value) for family, value in zip(self.families, values, strict=True)]
        self.parameters_of.free.copy_(torch.cat(raws, -1).unsqueeze(-1))

    def log_copula_density(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The logarithm of the copula's density at normal scores x, in nats; shapes as the term."""
        z, term = self.encode(x, context)
        return term + (x.square() - z.square()).sum(-1) / 2

    def _trees(self, context: Tensor | None) -> Sequence[Tensor]:
        return self.parameters_of.columns(context).split(self.sizes, -2)

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self._rosenblatt(x.mT, self._trees(context))

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self._unrosenblatt(z.mT, self._trees(context))

    @abstractmethod
    def _rosenblatt(self, x: Tensor, trees: Sequence[Tensor]) -> Pair: ...

    @abstractmethod
    def _unrosenblatt(self, z: Tensor, trees: Sequence[Tensor]) -> Pair: ...


class CVine(Vine):
    r"""A vine of stars: the k-th tree pairs the k-th variable with each behind it.

    .. math:: \log p(x) = \sum_j \log\varphi(x_j)
        + \sum_{k=1}^{D-1} \sum_{i=k+1}^{D} \log c_{k,i \mid 1, \dots, k-1}

    Either direction takes D - 1 steps, each of all variables at a time. Arguments, attributes and
    errors are those of `Vine`.

    Source: Aas, Czado, Frigessi, Bakken (2009), "Pair-copula constructions of multiple
    dependence".

    Example:
        >>> vine = CVine(3)
        >>> vine.set_pairs([torch.tensor([0.6, 0.0]), torch.tensor([0.8])])
        >>> z, term = vine.encode(torch.ones(1, 3))
        >>> z.detach(), term.exp().detach()  # 1 / (.8 * .6)
        (tensor([[1.0000, 0.5000, 1.0000]]), tensor([2.0833]))
    """

    def _rosenblatt(self, x: Tensor, trees: Sequence[Tensor]) -> Pair:
        done: list[Tensor] = []
        term = x.new_zeros(())
        for family, raw in zip(self.families, trees, strict=True):
            root, x = x[..., :1, :], x[..., 1:, :]
            x, log_slope = family.given(x, root, raw)
            done.append(root)
            term = term + log_slope.sum(-2)
        return _joined([*done, x]), term

    def _unrosenblatt(self, z: Tensor, trees: Sequence[Tensor]) -> Pair:
        last = len(trees)
        x, term = z[..., last:, :], z.new_zeros(())
        for k in reversed(range(last)):
            root = z[..., k : k + 1, :]
            x, log_slope = self.families[k].ungiven(x, root, trees[k])
            term = term + log_slope.sum(-2)
            x = _joined([root, x]).mT
        return x.mT, term


class DVine(Vine):
    r"""A vine of paths: the k-th tree pairs each variable with the k-th before it.

    .. math:: \log p(x) = \sum_j \log\varphi(x_j)
        + \sum_{k=1}^{D-1} \sum_{j=k+1}^{D} \log c_{j-k,j \mid j-k+1, \dots, j-1}

    For variables in a row, as values in time: with one tree it is a Markov chain. ``encode`` takes
    D - 1 steps, ``decode`` about D (D - 1). Arguments, attributes and errors are those of `Vine`.

    Source: Aas, Czado, Frigessi, Bakken (2009), "Pair-copula constructions of multiple
    dependence".

    Example:
        >>> vine = DVine(3, trees=1)
        >>> vine.set_pairs([torch.tensor([0.6, 0.8])])
        >>> vine.encode(torch.ones(1, 3))[0].detach()
        tensor([[1.0000, 0.5000, 0.3333]])
    """

    def _rosenblatt(self, x: Tensor, trees: Sequence[Tensor]) -> Pair:
        done: list[Tensor] = []
        term = x.new_zeros(())
        # scores of the pairs' ends: each later one given what lies between, each earlier one too
        later = earlier = x
        for family, raw in zip(self.families, trees, strict=True):
            done.append(later[..., :1, :])
            later, earlier = later[..., 1:, :], earlier[..., :-1, :]
            (later, log_slope), (earlier, _) = (
                family.given(later, earlier, raw),
                family.swapped.given(earlier, later, raw),
            )
            term = term + log_slope.sum(-2)
        return _joined([*done, later]), term

    def _unrosenblatt(self, z: Tensor, trees: Sequence[Tensor]) -> Pair:
        done: list[Tensor] = []
        term = z.new_zeros(())
        before: list[Tensor] = []  # of the last variable: earlier[k] is that k before, given others
        for j in range(z.shape[-2]):
            later = [z[..., j : j + 1, :]]
            depth = min(j, len(trees))
            raws = [trees[k][..., j - 1 - k : j - k, :] for k in range(depth)]
            for k in reversed(range(depth)):
                x, log_slope = self.families[k].ungiven(later[0], before[k], raws[k])
                later.insert(0, x)
                term = term + log_slope.squeeze(-2)
            earlier = [later[0]]
            for k in range(depth):
                swapped = self.families[k].swapped
                earlier.append(swapped.given(before[k], later[k], raws[k])[0])
            done.append(later[0])
            before = earlier
        return _joined(done), term


def _joined(columns: Sequence[Tensor]) -> Tensor:
    """Variables one under the other as columns of rows; the first ones may lack a batch shape."""
    lead = torch.broadcast_shapes(*(c.shape[:-2] for c in columns))
    return torch.cat([c.expand(*lead, *c.shape[-2:]) for c in columns], -2).mT
