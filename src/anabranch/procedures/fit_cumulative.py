"""Fits of distribution functions, and of their inverses, to the order of rows: SIC and SLC."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from anabranch.contracts.objective import Objective
from anabranch.distributions import Flow
from anabranch.functional.ranks import smooth_targets, stochastic_targets
from anabranch.networks.cumulative import CumulativeNetwork
from anabranch.objectives import CumulativeRegression, PenalisedCumulative, QuantileMatching
from anabranch.procedures.training_run import TrainingRun
from anabranch.training import FitResult

Targets = Literal["smooth", "stochastic"]
TARGETS = ("smooth", "stochastic")


def fit_cumulative(
    model: Flow | CumulativeNetwork,
    x: Tensor,
    run: TrainingRun,
    *,
    targets: Targets = "smooth",
    penalty: float = 1.0,
) -> FitResult:
    r"""Fit a distribution function to that of the rows.

    Source: Magdon-Ismail, Atiya (2002), "Density estimation and random variate generation using
    multilayer networks", IEEE Transactions on Neural Networks 13.

    Args:
        model: a flow of one column that rises, such as `anabranch.models.sic`, or a
            `CumulativeNetwork` of any number of columns. In several it also learns from N places
            with the columns of different rows, where the shares of rows are known as well.
        x: (N, D), of about unit scale.
        run: how the loop runs; with ``batch_size`` of at least N, in several columns 2N, it sees
            all rows at each step.
        targets: "smooth" for the share of rows below each (SIC); "stochastic" for uniforms that are
            drawn anew for each epoch and put in the order of the rows (SLC), for one column.
        penalty: of a `CumulativeNetwork`, on boxes that it gives less than nothing.

    Raises:
        ValueError: for other targets, or stochastic ones of several columns.

    Example:
        >>> from anabranch.models import sic
        >>> from anabranch.training import FitOptions
        >>> x = torch.randn(64, 1, generator=torch.Generator().manual_seed(0))
        >>> run = TrainingRun(FitOptions(max_epochs=5, batch_size=64, progress=False))
        >>> fit_cumulative(sic(1, seed=0), x, run).steps
        5
    """
    if isinstance(model, Flow):
        return _fit(CumulativeRegression(model), x, run, targets)
    lower, upper = x.aminmax(dim=0)
    objective = PenalisedCumulative(model, lower, upper, penalty=penalty)
    return _fit(objective, x, run, targets)


def fit_quantiles(
    flow: Flow, x: Tensor, run: TrainingRun, *, targets: Targets = "smooth"
) -> FitResult:
    """Fit a generator of random numbers: its quantiles to the rows in their order.

    Source: Magdon-Ismail, Atiya (2002), as for `fit_cumulative`.

    Args:
        flow: of one column whose ``decode`` is one pass, such as ``sic(1, inverse=True)``.
        x: (N, 1), of about unit scale.
        run: how the loop runs.
        targets: as for `fit_cumulative`.

    Raises:
        ValueError: as `fit_cumulative`.

    Example:
        >>> from anabranch.models import sic
        >>> from anabranch.training import FitOptions
        >>> x = torch.randn(64, 1, generator=torch.Generator().manual_seed(0))
        >>> flow = sic(1, inverse=True, seed=0)
        >>> run = TrainingRun(FitOptions(max_epochs=5, batch_size=64, progress=False))
        >>> fit_quantiles(flow, x, run).steps, flow.sample(3).shape
        (5, torch.Size([3, 1]))
    """
    return _fit(QuantileMatching(flow), x, run, targets)


def _fit(objective: Objective, x: Tensor, run: TrainingRun, targets: Targets) -> FitResult:
    if targets not in TARGETS:
        raise ValueError(f"targets must be one of {TARGETS}, got {targets!r}")
    if x.shape[1] > 1:
        if targets != "smooth":
            raise ValueError(f"stochastic targets are of one column, got {x.shape[1]}")
        places = torch.cat((x, _mixed(x, run)))
        return run.fit(objective, {"x": places, "target": smooth_targets(x, places=places)})
    data = {"x": x, "target": smooth_targets(x)}
    if targets == "smooth":
        return run.fit(objective, data)
    return run.fit(objective, data, on_epoch=_renewal(data, run))


def _mixed(x: Tensor, run: TrainingRun) -> Tensor:
    """Each column in an order of its own: places where no rows need be, and H is known as well."""
    seed = 0 if run.generator is None else run.generator.initial_seed()
    source = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(x), generator=source).to(x.device) for _ in range(x.shape[1])]
    return torch.stack([x[order, d] for d, order in enumerate(orders)], 1)


def _renewal(data: dict[str, Tensor], run: TrainingRun) -> Callable[[int], None]:
    """Other uniforms before each epoch."""
    seed = 0 if run.generator is None else run.generator.initial_seed()

    def renew(epoch: int) -> None:
        # a source of its own for each epoch, so that a resumed run draws the same targets
        source = torch.Generator().manual_seed((seed + 1 + epoch) % 2**63)
        data["target"].copy_(stochastic_targets(data["x"], source).clamp_min(1e-6))

    return renew
