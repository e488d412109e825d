"""How DEC and IDEC are trained, from their start on."""

from collections.abc import Mapping

import torch
from torch import Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.models.autoencoders.autoencoder import Autoencoder
from anabranch.models.autoencoders.dec import EmbeddedClustering
from anabranch.objectives import self_training, sharpened_targets
from anabranch.procedures.cluster_watch import ClusterWatch
from anabranch.procedures.clustering_task import ClusteringTask, Trained, encode
from anabranch.procedures.training_run import TrainingRun
from anabranch.training import FitResult


class SelfTraining(Objective):
    r"""What DEC and IDEC minimise; means over the batch.

    .. math:: \mathcal L = E\, \mathrm{KL}(p \,\|\, q(\cdot \mid f(x)))
        + w\, E\, \tfrac1D \lVert x - g(f(x)) \rVert^2

    Args:
        model: with a decoder where w is not zero.
        reconstruction: w.

    Batches are dicts with ``x`` (N, D) and ``targets`` (N, K), the p; without targets, those that
    `anabranch.objectives.sharpened_targets` makes of the batch.

    Raises:
        ValueError: for a weight below zero, or one without a decoder.

    Example:
        >>> from anabranch.models import dec
        >>> objective = SelfTraining(dec(3, 2, latent=2, hidden=[8], seed=0))
        >>> sorted(objective({"x": torch.zeros(5, 3)}).terms)
        ['self_training']
    """

    def __init__(self, model: EmbeddedClustering, *, reconstruction: float = 0.0) -> None:
        super().__init__()
        if not reconstruction >= 0:
            raise ValueError(f"reconstruction must not be negative, got {reconstruction}")
        if reconstruction and model.decoder is None:
            raise ValueError(
                f"reconstruction={reconstruction} needs a model with decoder=True, got one without"
            )
        self.model, self.reconstruction = model, reconstruction

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The divergence from the targets, and the reconstruction error."""
        x = batch["x"]
        z = self.model.encode(x)
        log_q = self.model.assign(z)
        targets = batch["targets"].mT if "targets" in batch else sharpened_targets(log_q)
        total = self_training(log_q, targets).mean()
        terms = {"self_training": total}
        if self.reconstruction and self.model.decoder is not None:
            terms["reconstruction"] = self.model.decoder.error(z, x).mean()
            total = total + self.reconstruction * terms["reconstruction"]
        return Loss(total, terms)


def fit_dec(
    model: EmbeddedClustering,
    x: Tensor,
    run: TrainingRun,
    *,
    reconstruction: float = 0.0,
    refresh: int = 140,
    tol: float = 1e-3,
) -> FitResult:
    """Train DEC or IDEC from its start: targets are renewed, and learned from, in turn.

    It ends when hardly any row changes its cluster from one renewal to the next, and leaves the
    model in its last state, for a loss with moving targets does not tell which state is best.

    Source: Xie, Girshick, Farhadi (2016), arXiv:1511.06335 (DEC); with w > 0: Guo, Gao, Liu, Yin
    (2017), "Improved deep embedded clustering with local structure preservation" (IDEC; its
    γ = 0.1 is w = 10).

    Args:
        model: after ``start_from``.
        x: (N, D).
        run: of the loop; without its patience.
        reconstruction: w, the weight of the reconstruction error per feature; 0 for DEC.
        refresh: steps between two renewals, rounded to whole epochs.
        tol: the share of rows that may still change in the end.

    Returns:
        What the fit did; ``stopped`` is "settled" or "collapsed" where it was that.

    Raises:
        ValueError: for a refresh below 1, or a weight that cannot be.

    Warns:
        CollapsedWarning: where all rows came into one cluster; the state before is kept.

    Example:
        >>> from anabranch.models import autoencoder, dec
        >>> from anabranch.training import FitOptions
        >>> x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        >>> coder = autoencoder(3, latent=2, hidden=[8], seed=0)
        >>> model = dec(3, 2, latent=2, hidden=[8], seed=0)
        >>> model.start_from(coder, coder.encode(x[:2]))
        >>> run = TrainingRun(FitOptions(max_epochs=2, batch_size=32))
        >>> fit_dec(model, x, run, refresh=2, tol=0.0).steps
        4
    """
    if refresh < 1:
        raise ValueError(f"refresh must be at least 1 step, got {refresh}")
    steps = max(1, len(x) // run.options.batch_size)
    every = max(1, round(refresh / steps))
    targets = x.new_zeros(len(x), len(model.centers))
    watch = ClusterWatch(model, x, every=every, targets=targets, tol=tol)
    result = run.with_options(patience=None, min_evaluation_steps=every * steps).fit(
        SelfTraining(model, reconstruction=reconstruction),
        {"x": x, "targets": targets},
        schedules=[watch],
        on_epoch=watch.on_epoch,
    )
    return watch.finish(result, run.options.max_epochs, last=result.stopped != "diverged")


def cluster_by_dec(
    task: ClusteringTask, *, alpha: float, reconstruction: float = 0.0, refresh: int, tol: float
) -> Trained:
    """Centres by k-means on the codes of an autoencoder, then `fit_dec`."""
    # first, so that wrong keywords are refused before the training
    model, _ = task.build(EmbeddedClustering, alpha=alpha, decoder=reconstruction > 0)
    coder, result = task.pretrained(Autoencoder)
    centers, labels = task.centers(encode(coder, task.x))
    model.start_from(coder, centers)
    how = {"reconstruction": reconstruction, "refresh": refresh, "tol": tol}
    clusters = fit_dec(model, task.x, task.run(), **how)
    return Trained(model, labels, {"autoencoder": result, "clusters": clusters})
