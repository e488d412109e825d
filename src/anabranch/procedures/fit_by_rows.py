"""Fits of flows that rows set at once, and of mixtures of them by EM."""

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anabranch.contracts.protocols import FitsRows
from anabranch.distributions import Distribution, Flow, Hedged, Mixture
from anabranch.functional.averages import weighted_mean
from anabranch.training import FitResult
from anabranch.transforms import Compose, Transform, TriangularAffine

Batch = dict[str, Tensor]
PART = 4096  # rows at a time
LEAST_GAIN = 1e-4  # nats a row, less of which is none
LEAST_STD = 1e-6


def sets_by_rows(module: nn.Module) -> bool:
    """Whether a model has parts that rows set at once.

    Example:
        >>> from anabranch.models import realnvp, vine
        >>> sets_by_rows(vine(2)), sets_by_rows(realnvp(2, seed=0))
        (True, False)
    """
    return any(isinstance(part, FitsRows) for part in module.modules())


@torch.no_grad()
def fit_rows(flow: Flow, x: Tensor, weights: Tensor | None = None) -> None:
    r"""Let rows set the parts of a flow, one after the other, from data to latent.

    Marginals take their kernels or quantiles, and a vine its trees and families. An affine map of
    all columns becomes one of each alone: dependence is the vine's.

    Args:
        flow: such as `anabranch.models.vine`.
        x: (N, D), or (\*batch_shape, N, D).
        weights: (N,) or (\*batch_shape, N), what rows count; None for one each.

    Example:
        >>> from anabranch.models import vine
        >>> flow, x = vine(1), torch.linspace(3, 5, 50).unsqueeze(-1)
        >>> fit_rows(flow, x)
        >>> flow.sample(500, generator=torch.Generator().manual_seed(0)).mean().round()
        tensor(4.)
    """
    for part in _parts(flow.transform):
        if isinstance(part, FitsRows):
            part.fit_rows(x, weights)
        elif isinstance(part, TriangularAffine):
            _set_columns(part, x, weights)
        x, _ = part.encode(x)


@dataclass(frozen=True)
class Rounds:
    """How EM runs.

    Attributes:
        most: rounds, at most.
        patience: rounds without a gain on rows held out, after which it ends.
        learn_weights: whether the weights of the mixture follow.
        keeps_last: whether the last state is what comes out, and not the best one.
    """

    most: int
    patience: int
    learn_weights: bool = True
    keeps_last: bool = False


@torch.no_grad()
def fit_mixture_by_rows(
    mixture: Mixture, data: Batch, held_out: Batch, rounds: Rounds
) -> FitResult:
    r"""EM for a mixture whose components rows set: a fit to weighted rows in each round.

    .. math:: r_k(x) = \frac{\pi_k\, p(x \mid k)}{\sum_j \pi_j\, p(x \mid j)}, \qquad
        \pi_k = \overline{r_k(x)}

    Where components are hedged with Gaussians, the first responsibilities are those of these. As
    components choose families anew in each round, the likelihood may fall; what comes out is the
    best state on rows held out.

    Args:
        mixture: of components that `sets_by_rows`, hedged or not.
        data: "x" of (N, D), and "weights" (N,) and "targets" (N, K) where there are any.
        held_out: rows that judge.
        rounds: how many, and when they end.

    Raises:
        ValueError: for components that rows do not set.

    Source: Kim, Kim, Liao, Jung (2013), "Mixture of D-vine copulas for modeling dependence",
    Computational Statistics and Data Analysis 64.

    Example:
        >>> from anabranch.models import vine
        >>> mixture = Mixture([vine(1, batch_shape=[2])])
        >>> x = torch.cat((torch.randn(99, 1), 9 + torch.randn(99, 1)))
        >>> known = torch.eye(2).repeat_interleave(99, 0)
        >>> data = {"x": x, "targets": known}
        >>> fit_mixture_by_rows(mixture, data, {"x": x}, Rounds(2, 2)).steps
        2
    """
    groups = list(_groups(mixture))
    started = time.monotonic()
    result = FitResult(stages=["EM"])
    result.best_score, best = _score(mixture, held_out), copy.deepcopy(mixture.state_dict())
    result.history.append(_entry(0, result.best_score))
    R, waited = _responsibilities(mixture, data, anchors=True), 0
    for step in range(1, rounds.most + 1):
        first = 0
        for flow in groups:
            last = first + flow.batch_shape[0]
            # a component of no rows keeps a little of all
            fit_rows(flow, data["x"], R[first:last] + 1e-9)
            first = last
        if rounds.learn_weights:
            mixture.set_weights(R.sum(1))
        score = _score(mixture, held_out)
        result.history.append(_entry(step, score))
        result.steps = step
        waited = 0 if score < result.best_score - LEAST_GAIN else waited + 1
        if score < result.best_score or rounds.keeps_last:
            result.best_score, result.best_epoch = score, step
            best = copy.deepcopy(mixture.state_dict())
        if waited > rounds.patience:
            result.stopped = "patience"
            break
        R = _responsibilities(mixture, data)
    mixture.load_state_dict(best)
    result.seconds = time.monotonic() - started
    return result


def _entry(step: int, score: float) -> dict[str, float]:
    return {"epoch": step, "step": step, "validation_nll": score}


def _groups(mixture: Mixture) -> Iterator[Flow]:
    for group in mixture.groups:
        flow = group.density if isinstance(group, Hedged) else group
        if not isinstance(flow, Flow) or not sets_by_rows(flow):
            raise ValueError(
                "components that rows set at once, such as 'vine', are of real columns alone, and "
                "stand in no mixture with others"
            )
        yield flow


def _parts(transform: Transform) -> Iterator[Transform]:
    if not isinstance(transform, Compose):
        yield transform
        return
    for part in transform.transforms:
        assert isinstance(part, Transform)
        yield from _parts(part)


def _set_columns(affine: TriangularAffine, x: Tensor, weights: Tensor | None) -> None:
    """Standardise each column alone."""
    rows = x.double()
    counts = torch.ones_like(rows[..., 0]) if weights is None else weights.double()
    share = (counts / counts.sum(-1, keepdim=True)).unsqueeze(-1)
    mean = (share * rows).sum(-2)
    variance = (share * (rows - mean.unsqueeze(-2)).square()).sum(-2)
    mean, variance = (part.expand(*affine.batch_shape, -1) for part in (mean, variance))
    affine.set_gaussian(mean, torch.diag_embed(variance.sqrt().clamp_min(LEAST_STD)))
    affine.requires_grad_(False)


def _joint(mixture: Mixture, x: Tensor, *, anchors: bool) -> Tensor:
    if not anchors or not all(isinstance(group, Hedged) for group in mixture.groups):
        return torch.cat([mixture.joint_log_prob(part) for part in x.split(PART)], 1)
    found: list[Distribution] = [g.anchor for g in mixture.groups if isinstance(g, Hedged)]
    parts = torch.cat([anchor.log_prob(x) for anchor in found])
    return parts + mixture.log_weights.unsqueeze(-1)


def _responsibilities(mixture: Mixture, data: Batch, *, anchors: bool = False) -> Tensor:
    """What each component owns of each row, (K, N), times what rows count."""
    R = torch.softmax(_joint(mixture, data["x"], anchors=anchors), 0)
    if "targets" in data:
        known = data["targets"].sum(1) > 0
        R = torch.where(known, data["targets"].mT, R)
    return R * data["weights"] if "weights" in data else R


def _score(mixture: Mixture, data: Batch) -> float:
    """Mean negative log-density, in nats."""
    parts = torch.cat([mixture.log_prob(part) for part in data["x"].split(PART)])
    return -float(weighted_mean(parts.double(), data.get("weights")))
