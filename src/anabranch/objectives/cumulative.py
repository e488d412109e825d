"""Distribution functions as regressions: squared distances of a cumulative to its targets."""

from collections.abc import Mapping
from itertools import product

import torch
from torch import Generator, Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.marginals import Marginals
from anabranch.contracts.objective import Objective
from anabranch.distributions import Flow
from anabranch.functional.averages import weighted_mean
from anabranch.functional.numbers import check_not_negative, check_positive
from anabranch.networks.cumulative import CumulativeNetwork


class CumulativeRegression(Objective):
    r"""The squared distance of a flow's distribution function to targets of the rows.

    .. math:: \frac1N \sum_n \bigl(F(x_n) - t_n\bigr)^2, \qquad F = F_Z \circ f

    for an increasing map f of one column. With :math:`t_n = n / (N + 1)` in the order of the rows
    it is the statistic of Cramér and von Mises: a fit by it keeps to the empirical distribution
    function, where one by likelihood runs after single rows.

    Args:
        flow: of one column, with an increasing transform, over a base that knows its distribution
            function.

    Batches are dicts of ``x`` (N, 1), ``target`` (N,), and optionally ``weights`` and ``term`` as
    of `Likelihood`. The term "nll" of the loss is that of `Likelihood`, to compare with.

    Raises:
        ValueError: for a flow of more columns, or one that falls.
        TypeError: for a base without a distribution function.

    Source: Magdon-Ismail, Atiya (2002), "Density estimation and random variate generation using
    multilayer networks", IEEE Transactions on Neural Networks 13.

    Example:
        >>> from anabranch.models import sic
        >>> batch = {"x": torch.tensor([[-1.0], [1.0]]), "target": torch.tensor([1 / 3, 2 / 3])}
        >>> sorted(CumulativeRegression(sic(1, seed=0))(batch).terms)
        ['nll', 'squared_error']
    """

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        _marginal_base(flow)
        _check_rises(flow)
        self.flow = flow

    def forward(self, batch: Mapping[str, Tensor], *, generator: Generator | None = None) -> Loss:
        """The objective."""
        base, weights = _marginal_base(self.flow), batch.get("weights")
        z, term = self.flow.transform.encode(batch["x"])
        error = weighted_mean((base.cdf(z).squeeze(-1) - batch["target"]).square(), weights)
        log_prob = base.log_prob(z) + term
        nll = -weighted_mean(log_prob + batch.get("term", torch.zeros_like(log_prob)), weights)
        return Loss(error, {"squared_error": error, "nll": nll})


class QuantileMatching(Objective):
    r"""The squared distance of a flow's quantiles to the rows.

    .. math:: \frac1N \sum_n \bigl(f^{-1}(F_Z^{-1}(t_n)) - x_n\bigr)^2

    The generator of random numbers by the inverse: what `CumulativeRegression` is for the
    direction from rows to uniforms. For a flow whose ``decode`` is one pass.

    Args:
        flow: as for `CumulativeRegression`.

    Batches are those of `CumulativeRegression`, with targets between 0 and 1.

    Raises:
        ValueError: as `CumulativeRegression`.
        TypeError: as `CumulativeRegression`.

    Source: Magdon-Ismail, Atiya (2002), as for `CumulativeRegression`.

    Example:
        >>> from anabranch.models import sic
        >>> batch = {"x": torch.tensor([[-1.0], [1.0]]), "target": torch.tensor([1 / 3, 2 / 3])}
        >>> QuantileMatching(sic(1, inverse=True, seed=0))(batch).total.shape
        torch.Size([])
    """

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        _marginal_base(flow)
        _check_rises(flow)
        self.flow = flow

    def forward(self, batch: Mapping[str, Tensor], *, generator: Generator | None = None) -> Loss:
        """The objective."""
        z = _marginal_base(self.flow).icdf(batch["target"].unsqueeze(-1))
        x, _ = self.flow.transform.decode(z)
        error = weighted_mean((x - batch["x"]).square().squeeze(-1), batch.get("weights"))
        return Loss(error, {"squared_error": error})


class PenalisedCumulative(Objective):
    r"""The squared distance of a network to targets, and a penalty where it is no distribution.

    .. math:: \frac1N \sum_n \bigl(H(x_n) - t_n\bigr)^2
        + \frac\lambda M \sum_m \max\bigl(0, -V_H[y_m, y_m + \delta_m]\bigr)^2

    where :math:`V_H` is what H gives to a box, the alternating sum of its corners: in one
    dimension :math:`H(y + \delta) - H(y)`. Boxes are drawn anew at each step, within those of the
    rows widened by a fifth.

    Args:
        network: H.
        lower: (D,) where boxes begin.
        upper: (D,) where they end.
        penalty: :math:`\lambda`.
        size: of a box, as a share of the whole, at most.
        n_boxes: M.

    Batches are dicts of ``x`` (N, D), ``target`` (N,), and optionally ``weights`` (N,).

    Raises:
        ValueError: for a penalty below zero, or a size or number of boxes that is not positive.

    Source: Magdon-Ismail, Atiya (2002), as for `CumulativeRegression`, with a box for their step.

    Example:
        >>> objective = PenalisedCumulative(CumulativeNetwork(1), torch.zeros(1), torch.ones(1))
        >>> batch = {"x": torch.rand(4, 1), "target": torch.full((4,), 0.5)}
        >>> sorted(objective(batch).terms)
        ['penalty', 'squared_error']
    """

    stochastic = True
    corner: Tensor
    width: Tensor

    def __init__(
        self,
        network: CumulativeNetwork,
        lower: Tensor,
        upper: Tensor,
        *,
        penalty: float = 1.0,
        size: float = 0.05,
        n_boxes: int = 256,
    ) -> None:
        super().__init__()
        self.network, self.penalty, self.size, self.n_boxes = network, penalty, size, n_boxes
        check_not_negative(self, ("penalty",))
        check_positive(self, ("size", "n_boxes"))
        self.register_buffer("corner", lower - 0.1 * (upper - lower), False)
        self.register_buffer("width", 1.2 * (upper - lower), False)

    def forward(self, batch: Mapping[str, Tensor], *, generator: Generator | None = None) -> Loss:
        """The objective."""
        error = weighted_mean(
            (self.network(batch["x"]) - batch["target"]).square(), batch.get("weights")
        )
        start, size = torch.rand(
            2,
            self.n_boxes,
            self.network.features,
            generator=generator,
            dtype=self.width.dtype,
            device=self.width.device,
        )
        low = self.corner + self.width * start
        penalty = (-self.boxes(low, low + self.width * self.size * size)).relu().square().mean()
        return Loss(error + self.penalty * penalty, {"squared_error": error, "penalty": penalty})

    def boxes(self, low: Tensor, high: Tensor) -> Tensor:
        """What H gives to boxes between corners (M, D), of shape (M,)."""
        total = low.new_zeros(len(low))
        for chosen in product((False, True), repeat=self.network.features):
            mask = torch.tensor(chosen, device=low.device)
            sign = (-1) ** (self.network.features - sum(chosen))
            total = total + sign * self.network(torch.where(mask, high, low))
        return total


def _marginal_base(flow: Flow) -> Marginals:
    """The base, with its distribution function."""
    if not isinstance(flow.base, Marginals):
        raise TypeError(f"flow's base must have a cdf, got {type(flow.base).__name__}")
    return flow.base


@torch.no_grad()
def _check_rises(flow: Flow) -> None:
    """Refuse what is no map of one column that rises."""
    if flow.event_shape != (1,):
        raise ValueError(f"flow must be of one column, got event shape {flow.event_shape}")
    anchor = next(flow.parameters())
    low, high = flow.transform.encode(anchor.new_tensor([[-1.0], [1.0]]))[0]
    if not bool(low < high):
        raise ValueError("flow must have a transform that rises, got one that falls")
