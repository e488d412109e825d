"""How the systems that gather codes around clusters are trained, from their start on."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from anabranch.models.autoencoders.embedded_clustering import EmbeddedClustering
from anabranch.procedures.cluster_watch import PART, ClusterWatch
from anabranch.training import FitOptions, FitResult, Schedule, fit


def fit_self_training(
    model: EmbeddedClustering,
    x: Tensor,
    *,
    options: FitOptions,
    refresh: int = 140,
    tol: float = 1e-3,
    schedules: Sequence[Schedule] = (),
    generator: torch.Generator | None = None,
    loop: Callable[..., FitResult] = fit,
) -> FitResult:
    """Train DEC or IDEC from its start: targets are renewed, and learned from, in turn.

    It ends when hardly any row changes its cluster from one renewal to the next, and leaves the
    model in its last state, for a loss with moving targets does not tell which state is best.

    Source: Xie, Girshick, Farhadi (2016), arXiv:1511.06335.

    Args:
        model: after ``start_from``.
        x: (N, D).
        options: of the fit loop; without its patience.
        refresh: steps between two renewals, rounded to whole epochs.
        tol: the share of rows that may still change in the end.
        schedules: further schedules.
        generator: source of the row order.
        loop: what is run in place of `anabranch.training.fit`, such as one with a checkpoint.

    Returns:
        What the fit did; ``stopped`` is "settled" or "collapsed" where it was that.

    Raises:
        ValueError: for a refresh below 1.

    Warns:
        CollapsedWarning: where all rows came into one cluster; the state before is kept.

    Example:
        >>> from anabranch.models import autoencoder, dec
        >>> x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        >>> coder = autoencoder(3, latent=2, hidden=[8], seed=0)
        >>> model = dec(3, 2, latent=2, hidden=[8], seed=0)
        >>> model.start_from(coder, coder.encode(x[:2]))
        >>> options = FitOptions(max_epochs=2, batch_size=32)
        >>> fit_self_training(model, x, options=options, refresh=2, tol=0.0).steps
        4
    """
    if refresh < 1:
        raise ValueError(f"refresh must be at least 1 step, got {refresh}")
    steps = max(1, len(x) // options.batch_size)
    every = max(1, round(refresh / steps))
    targets = x.new_zeros(len(x), len(model.centers))
    watch = ClusterWatch(model, x, every=every, targets=targets, tol=tol)
    result = loop(
        model,
        {"x": x, "targets": targets},
        options=replace(options, patience=None, min_evaluation_steps=every * steps),
        schedules=[*schedules, watch],
        generator=generator,
        on_epoch=watch.on_epoch,
    )
    return _finished(watch, result, options, last=result.stopped != "diverged")


def fit_variational(
    model: nn.Module,
    x: Tensor,
    held_out: Tensor,
    *,
    options: FitOptions,
    schedules: Sequence[Schedule] = (),
    generator: torch.Generator | None = None,
    loop: Callable[..., FitResult] = fit,
) -> FitResult:
    """Train a variational autoencoder with clusters, such as VaDE, from its start on.

    It is left in the state with the best bound on held-out rows.

    Args:
        model: a module with a loss and ``responsibilities``.
        x: (N, D).
        held_out: (M, D).
        options: of the fit loop.
        schedules: further schedules.
        generator: source of the row order.
        loop: what is run in place of `anabranch.training.fit`, such as one with a checkpoint.

    Returns:
        What the fit did; ``stopped`` is "collapsed" where it was that.

    Warns:
        CollapsedWarning: where all rows came into one cluster; the state before is kept.

    Example:
        >>> from anabranch.models import autoencoder, vade
        >>> x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        >>> coder = autoencoder(3, latent=2, hidden=[8], seed=0)
        >>> model = vade(3, 2, latent=2, hidden=[8], seed=0)
        >>> means, variances = coder.encode(x[:2]), torch.full((2, 2), 0.1)
        >>> model.start_from(coder, 1.0, torch.tensor([0.5, 0.5]), means, variances)
        >>> options = FitOptions(max_epochs=2, batch_size=32)
        >>> fit_variational(model, x, x[:16], options=options).steps
        4
    """
    watch = ClusterWatch(model, x[:PART])
    result = loop(
        model,
        {"x": x},
        {"x": held_out},
        options=options,
        schedules=[*schedules, watch],
        generator=generator,
        on_epoch=watch.on_epoch,
    )
    return _finished(watch, result, options, last=False)


def _finished(
    watch: ClusterWatch, result: FitResult, options: FitOptions, *, last: bool
) -> FitResult:
    watch.finish(options.max_epochs, last=last)
    if watch.settled:
        result.stopped = "settled"
    if watch.collapsed is not None:
        result.stopped = "collapsed"
    if len(result.history) > 1 and result.history[-1]["step"] == result.history[-2]["step"]:
        result.history.pop()  # the end of epochs that went through no rows
    return result
