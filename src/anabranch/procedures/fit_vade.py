"""How VaDE is trained, and any bound of a model whose clusters are watched."""

from torch import Tensor

from anabranch.contracts import ClusterModel
from anabranch.contracts.objective import Objective
from anabranch.models.autoencoders.autoencoder import Autoencoder
from anabranch.models.autoencoders.vade import VariationalDeepEmbedding
from anabranch.objectives import VariationalBound
from anabranch.procedures.cluster_watch import PART, ClusterWatch
from anabranch.procedures.clustering_task import ClusteringTask, Trained, encode, error_of
from anabranch.procedures.training_run import TrainingRun
from anabranch.training import CosineDecay, FitResult


def fit_vade(
    model: VariationalDeepEmbedding, x: Tensor, held_out: Tensor, run: TrainingRun
) -> FitResult:
    """Train VaDE from its start on, and leave it in the state with the best bound.

    The learning rate falls by half a cosine.

    Source: Jiang, Zheng, Tan, Tang, Zhou (2017), arXiv:1611.05148.

    Args:
        model: after ``start_from``.
        x: (N, D).
        held_out: (M, D), on which the bound is compared.
        run: of the loop.

    Returns:
        What the fit did; ``stopped`` is "collapsed" where it was that.

    Warns:
        CollapsedWarning: where all rows came into one cluster; the state before is kept.

    Example:
        >>> import torch
        >>> from anabranch.models import autoencoder, vade
        >>> from anabranch.training import FitOptions
        >>> x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        >>> coder = autoencoder(3, latent=2, hidden=[8], seed=0)
        >>> model = vade(3, 2, latent=2, hidden=[8], seed=0)
        >>> means, variances = coder.encode(x[:2]), torch.full((2, 2), 0.1)
        >>> model.start_from(coder, 1.0, torch.tensor([0.5, 0.5]), means, variances)
        >>> run = TrainingRun(FitOptions(max_epochs=2, batch_size=32))
        >>> fit_vade(model, x, x[:16], run).steps
        4
    """
    return fit_watched(VariationalBound(model), model, x, held_out, run)


def fit_watched(
    objective: Objective, model: ClusterModel, x: Tensor, held_out: Tensor, run: TrainingRun
) -> FitResult:
    """Minimise an objective of a model, and stop where all rows come into one cluster.

    Arguments, results and warnings are those of `fit_vade`.
    """
    watch = ClusterWatch(model, x[:PART])
    result = run.fit(
        objective,
        {"x": x},
        {"x": held_out},
        schedules=[CosineDecay(run.steps(len(x))), watch],
        on_epoch=watch.on_epoch,
    )
    return watch.finish(result, run.options.max_epochs, last=run.keep == "last")


def cluster_by_vade(task: ClusteringTask, *, n_init: int) -> Trained:
    """A Gaussian mixture on the codes of an autoencoder, then `fit_vade`."""
    model, noise = task.build(VariationalDeepEmbedding)
    coder, result = task.pretrained(Autoencoder)
    moments, start = task.moments(encode(coder, task.x), n_init)
    model.start_from(coder, error_of(result), *moments)
    clusters = fit_vade(model, task.train, task.held_out, task.run(noise))
    return Trained(model, start, {"autoencoder": result, "clusters": clusters})
