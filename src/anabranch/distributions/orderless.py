"""Autoregressive models averaged over orderings."""

import math

import torch
from torch import Generator, Tensor

from anabranch.contracts.context import needed_context
from anabranch.contracts.distribution import Distribution
from anabranch.distributions.autoregressive import refuse_gradients
from anabranch.distributions.heads import Head
from anabranch.functional import expand_batch, split_parameters
from anabranch.functional.shapes import Shape
from anabranch.networks.orderless import Layout, OrderlessMADE

# Orderings of one step of training: more cost time, fewer make gradients noisier.
DRAWN = 4


class OrderlessModel(Distribution):
    r"""The uniform mixture of one network's autoregressive models in R orderings.

    .. math:: p(x) = \frac1R \sum_{r=1}^R \prod_d h(x_d; \theta^r_d(x_{<_r d}, c))

    In evaluation mode it is exact. In training mode each row is seen in one ordering, by which
    its ``log_prob`` is meant: the mean over orderings is a lower bound, at the cost of one model.
    These orderings are new ones at each call, so that none can be learned by heart, which suits
    few rows; or always the R, which asks less of the network, and suits many.

    Args:
        network: an `OrderlessMADE`, made with ``head.n_params`` parameters for each feature.
        head: the distribution h of one number.
        features: D.
        fresh: whether training draws new orderings at each call, instead of going through the R.
        context_features: size of the context that the network was made with.
        batch_shape: the component axis that the network was made with.

    Source: Uria, Murray, Larochelle (2014), "A deep and tractable density estimator",
    arXiv:1310.1757; Germain, Gregor, Murray, Larochelle (2015), arXiv:1502.03509.

    Example:
        >>> from anabranch.distributions import Bernoulli
        >>> from anabranch.networks import OrderlessMADE
        >>> network = OrderlessMADE(2, 1, [[0, 1], [1, 0]])
        >>> OrderlessModel(network, Bernoulli(), 2).eval().log_prob(torch.ones(1, 2)).detach()
        tensor([-1.3863])
    """

    def __init__(
        self,
        network: OrderlessMADE,
        head: Head,
        features: int,
        *,
        fresh: bool = True,
        context_features: int = 0,
        batch_shape: Shape = (),
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape, context_shape=context_features)
        self.network = network
        self.head, self.domain = head, head.domain
        self.n_orderings = len(self.network.places)
        self.fresh = self.stochastic = fresh

    def ordering_log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density in each ordering, (*batch_shape, R, N), for x of shape (N, D)."""
        return self._in_each(x, needed_context(self, self.context_shape, context))

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        if self.training:
            return self._dealt(x, context, generator)
        return torch.logsumexp(self._in_each(x, context), -2) - math.log(self.n_orderings)

    def _in_each(self, x: Tensor, context: Tensor | None) -> Tensor:
        # One after the other: the hidden units of all orderings at once would take much memory.
        x_columns, context_columns = self._stacked(x, 1), self._given(context, 1)
        layouts = [self.network.layout[r : r + 1] for r in range(self.n_orderings)]
        return torch.cat([self._run(x_columns, context_columns, each) for each in layouts], -2)

    def _dealt(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        """Log-density of each row in one ordering: the first share of rows in the first, ..."""
        network, size = self.network, DRAWN if self.fresh else self.n_orderings
        layout = network.fresh_layout(size, generator) if self.fresh else network.layout
        log_prob = self._run(self._stacked(x, size), self._given(context, size), layout)
        return log_prob.flatten(-2)[..., : x.shape[-2]]

    def _run(self, x: Tensor, context: Tensor | None, layout: Layout) -> Tensor:
        """Log-density of columns (*batch_shape, R, D, n), each in its ordering."""
        params = split_parameters(self.network.columns(x, layout, context), self.head.n_params)
        return self.head.log_prob(x, params).sum(-2)

    def _stacked(self, rows: Tensor, size: int) -> Tensor:
        """Rows (.., N, F) dealt out, as columns (*batch_shape, size, F, n).

        Where size does not divide N, the first rows fill up what is missing.
        """
        rows = expand_batch(rows, self.batch_shape, 1)
        n = rows.shape[-2]
        share = -(-n // size)
        if n != share * size:
            places = torch.arange(share * size, device=rows.device) % n
            rows = rows.index_select(-2, places)
        return rows.unflatten(-2, (size, share)).mT

    def _given(self, context: Tensor | None, size: int) -> Tensor | None:
        return None if context is None else self._stacked(context, size)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        refuse_gradients(self.head)
        anchor = next(self.parameters())
        labels = torch.randint(self.n_orderings, (n,), generator=generator, device=anchor.device)
        columns = None if context is None else expand_batch(context, self.batch_shape, 1).mT
        draw = lambda params, places: self.head.sample(params, generator)  # noqa: E731
        parts = []
        for r, size in enumerate(torch.bincount(labels, minlength=self.n_orderings).tolist()):
            like = anchor.new_empty(*self.batch_shape, *self.event_shape, size)
            own = None if columns is None else columns[..., labels == r]
            parts.append(self.network.in_turn(self.network.layout[r : r + 1], draw, like, own))
        return torch.cat(parts, -1).index_select(-1, labels.argsort(stable=True).argsort()).mT

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{super().extra_repr()}, n_orderings={self.n_orderings}"
