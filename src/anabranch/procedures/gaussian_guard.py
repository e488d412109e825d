"""The Gaussian that a flow starts from, and has to beat; and densities that it must not lose."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from anabranch.distributions import Hedged, Mixture
from anabranch.training import FitOptions, fit

Model = TypeVar("Model", bound=nn.Module)
# Nine of ten races end after these as after 400, and the tenth costs .003 nats.
RACE_STEPS = 64
# Steps of EM for one number.
SHARE_STEPS = 100
# Rows that a pass without gradients takes at a time.
PART = 4096


def convincing(gain: Tensor, weights: Tensor | None = None) -> bool:
    r"""Whether a mean gain on validation rows exceeds two of its own standard errors.

    Where it does not, as on small tables, the flow has not earned its place, and the Gaussian
    mixture it started from is the better bet. The error of a weighted mean is that of its sum of
    independent terms, :math:`\sqrt{\sum w^2 (g - \bar g)^2} / \sum w`.

    Args:
        gain: (n,) of each row.
        weights: (n,) what each row counts; None for one.

    Example:
        >>> convincing(torch.tensor([1.0, 1.1, 0.9])), convincing(torch.tensor([9.0, -8.0, 0.0]))
        (True, False)
    """
    mean, error = gain_with_error(gain, weights)
    return mean > 2 * error


def gain_with_error(gain: Tensor, weights: Tensor | None = None) -> list[float]:
    """The mean gain of validation rows and its standard error, as of `convincing`.

    Example:
        >>> gain_with_error(torch.tensor([1.0, 3.0]))
        [2.0, 0.707...]
    """
    shares = torch.ones_like(gain) if weights is None else weights
    shares = shares.double() / shares.double().sum()
    mean = (shares * gain).sum()
    return [float(mean), float((shares * (gain - mean)).norm())]


def fitted_share(gain: Tensor, weights: Tensor | None = None) -> float:
    r"""The share a of a density f in a f + (1 - a) g, by EM from rows that neither was fitted to.

    It is the posterior mean under a uniform prior, Beta(1, 1), given how many rows are from f in
    expectation: inside of (1 / (n + 2), (n + 1) / (n + 2)).

    Args:
        gain: (n,) log f - log g of rows.
        weights: (n,) what each row counts; None for one.

    Example:
        >>> round(fitted_share(torch.tensor([50.0, 50.0, 50.0, -50.0])), 6)  # (3 + 1) / (4 + 2)
        0.666667
    """
    share = torch.tensor(0.8, dtype=torch.float64, device=gain.device)
    counts = torch.ones_like(gain) if weights is None else weights
    counts = counts.double()
    for _ in range(SHARE_STEPS):
        from_f = (counts * torch.sigmoid(gain.double() + torch.logit(share))).sum()
        share = (from_f + 1) / (counts.sum() + 2)
    return float(share)


@torch.no_grad()
def hedge_weights(mixture: Mixture, *, anchors: bool) -> Tensor:
    """Mixture weights of the flows alone, or of the Gaussians that hedge them, (K,)."""
    shares = [group.share for group in mixture.groups if isinstance(group, Hedged)]
    weights = mixture.log_weights.double().exp()
    if shares:
        share = torch.cat(shares).double()
        weights = weights * (1 - share if anchors else share)
    return weights / weights.sum()


@torch.no_grad()
def settle(
    mixture: Mixture,
    anchors: Tensor,
    x: Tensor,
    weights: Tensor | None = None,
    *,
    given: bool = False,
) -> None:
    r"""Learn the share a of the flows of a hedged mixture from rows held out.

    .. math:: p(x, k) = a\, \pi_k f_k(x) + (1 - a)\, \omega_k\, g_k(x)

    The Gaussians keep the weights :math:`\omega` that they started with, so that no row falls more
    than :math:`-\log(1 - a)` below the start, whatever the weights of the flows have become.

    Args:
        mixture: of `Hedged` groups; another one is left alone.
        anchors: (K,) :math:`\omega`.
        x: (n, D) rows.
        weights: (n,) what each row counts; None for one.
        given: whether the weights are not to be learned: the flows have those of the Gaussians.
    """
    groups = [group for group in mixture.groups if isinstance(group, Hedged)]
    if not groups:
        return
    own_weights = anchors if given else hedge_weights(mixture, anchors=False)
    flows = _rows(Mixture([group.density for group in groups]), own_weights, x)
    gaussians = _rows(Mixture([group.anchor for group in groups]), anchors, x)
    # a flow that overflows on a row has lost it
    share = fitted_share((flows - gaussians).nan_to_num(nan=-torch.inf), weights)
    own, other = share * own_weights, (1 - share) * anchors
    mixture.set_weights(own + other)
    sizes = [group.batch_shape[0] for group in groups]
    for group, part in zip(groups, (own / (own + other)).split(sizes), strict=True):
        group.set_share(part)


def _rows(mixture: Mixture, weights: Tensor, x: Tensor) -> Tensor:
    """Log-density of rows under the same components with these weights, (n,), in float64."""
    mixture.set_weights(weights)
    return torch.cat([mixture.log_prob(part) for part in x.split(PART)]).double()


def race(
    objective: nn.Module,
    data: dict[str, Tensor],
    held_out: dict[str, Tensor],
    options: FitOptions,
    *,
    seed: int,
    noise: torch.Generator | None = None,
    on_epoch: Callable[[int], Tensor | None] | None = None,
) -> float:
    """Train for as many epochs as there are, and tell how far that gets: the best score.

    Args:
        objective: what is trained, in place.
        data: rows to train on.
        held_out: rows to score on.
        options: of the race; nothing is written, and nothing stops it early.
        seed: of the order of rows.
        noise: source of the objective's draws.
        on_epoch: what changes before each epoch.
    """
    return fit(
        objective,
        data,
        held_out,
        options=replace(unrecorded(options), patience=None),
        generator=torch.Generator().manual_seed(seed),
        noise=noise,
        on_epoch=on_epoch,
        stage="race",
    ).best_score


def epochs_of(steps: int, options: FitOptions, n_rows: int) -> int:
    """How many passes over the rows take about so many steps, at least one."""
    return max(1, steps * options.batch_size // n_rows)


def unrecorded(options: FitOptions) -> FitOptions:
    """The same settings, writing nothing."""
    return replace(options, checkpoint=None, log_path=None, tensorboard=None)


@torch.no_grad()
def precise(
    log_prob: Callable[[Model, Tensor, Tensor | None], Tensor],
    model: Model,
    x: Tensor,
    context: Tensor | None = None,
) -> Tensor:
    """Log-densities in float64; rows that overflow float32 are done again in float64.

    Args:
        log_prob: of a model, rows and their context: (n,), or (K, n) to be summed over components.
        model: in float32.
        x: (n, D).
        context: (n, C), or None.

    Returns:
        What ``log_prob`` gives, in float64.
    """
    values = log_prob(model, x, context).double()
    total = values if values.dim() == 1 else torch.logsumexp(values, 0)
    overflow = ~torch.isfinite(total)
    if bool(overflow.any()):
        double = copy.deepcopy(model).double()
        given = None if context is None else context[overflow].double()
        values[..., overflow] = log_prob(double, x[overflow].double(), given)
    return values
