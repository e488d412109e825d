"""How a mixture of autoencoders is trained."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from anabranch.models.autoencoders.mixture_of_autoencoders import MixtureOfAutoencoders
from anabranch.objectives import Loss
from anabranch.procedures.cluster_watch import CollapsedWarning, log_responsibilities
from anabranch.training import (
    CosineDecay,
    FitOptions,
    FitResult,
    Halving,
    Schedule,
    ScheduledBuffer,
    fit,
)

# The weight of certainty falls to this share of its first value, by halves.
LAST_CERTAINTY = 1 / 16
STAGES = 5


def fit_mixae(
    model: MixtureOfAutoencoders,
    x: Tensor,
    *,
    options: FitOptions | None = None,
    clusters: Tensor | None = None,
    start_epochs: int = 20,
    schedules: Sequence[Schedule] = (),
    generator: torch.Generator | None = None,
    loop: Callable[..., FitResult] = fit,
) -> FitResult:
    """Train all autoencoders and the assignments together, from random networks or from clusters.

    The learning rate falls by half a cosine, and the weight of certainty by halves to a sixteenth:
    once assignments are certain, they need no push. All epochs are run, for a loss whose weights
    change does not tell when to stop.

    With ``clusters``, each autoencoder first learns the rows of one, and the assignments to tell
    which. From random networks, the first differences between autoencoders decide what each will
    be good at, and rows seldom change over later.

    Source: Zhang, Sun, Eriksson, Balzano (2017), arXiv:1712.07788; the start from clusters, which
    were those of k-means on the codes of one autoencoder: Chazan, Gannot, Goldberger (2018), "Deep
    clustering based on a mixture of autoencoders", arXiv:1812.06535.

    Args:
        model: from the recipe `mixae`.
        x: (N, D), standardised or in [0, 1]. Its errors are measured in units of these rows.
        options: of the fit loop; without its patience. A batch has to hold all clusters.
        clusters: (N,) integers in 0..K-1 to start from; None for random networks.
        start_epochs: epochs of that start, at a constant learning rate.
        schedules: further schedules.
        generator: source of the row order.
        loop: what is run in place of `anabranch.training.fit`, such as one with a checkpoint; not
            for the start.

    Returns:
        What the fit did, without the start; ``stopped`` is "collapsed" where all rows are in one
        cluster.

    Raises:
        ValueError: for fewer rows, or rows a batch, than components; clusters of another shape, or
            out of range.

    Warns:
        CollapsedWarning: where all rows are in one cluster.

    Example:
        >>> from anabranch.models import mixae
        >>> x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        >>> model = mixae(3, 2, latent=1, hidden=[8], seed=0)
        >>> fit_mixae(model, x, options=FitOptions(max_epochs=2, batch_size=32)).steps
        4
    """
    options = replace(options or FitOptions(max_epochs=200, batch_size=256), patience=None)
    batch_size, k = min(len(x), options.batch_size), model.n_components
    if batch_size < k:
        raise ValueError(f"a batch must hold all {k} clusters, got {batch_size} rows")
    model.measure(x)
    if clusters is not None:
        _start(model, x, clusters, replace(options, max_epochs=start_epochs), generator)
    steps = max(1, options.max_epochs * (len(x) // batch_size))
    result = loop(
        model,
        {"x": x},
        options=options,
        schedules=[CosineDecay(steps), *_certainty(model, steps), *schedules],
        generator=generator,
    )
    labels = log_responsibilities(model, x).argmax(0)
    if k > 1 and len(labels.unique()) == 1:
        result.stopped = "collapsed"
        warnings.warn(
            "all rows are in one cluster: train for longer, raise balance, or lower certainty",
            CollapsedWarning,
            stacklevel=2,
        )
    return result


class _OfClusters(nn.Module):
    """The error of the autoencoder of a row's cluster, and the surprise of the assignments."""

    def __init__(self, model: MixtureOfAutoencoders) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        errors, log_p = self.model.told(batch["x"])
        own = batch["cluster"][None]
        error, surprise = (v.gather(0, own).mean() for v in (errors, -log_p))
        return Loss(error + surprise, {"reconstruction": error, "classification": surprise})


def _start(
    model: MixtureOfAutoencoders,
    x: Tensor,
    clusters: Tensor,
    options: FitOptions,
    generator: torch.Generator | None,
) -> None:
    _check_clusters(clusters, len(x), model.n_components)
    options = replace(options, log_path=None, tensorboard=None, checkpoint=None)
    data = {"x": x, "cluster": clusters.to(x.device)}
    fit(_OfClusters(model), data, options=options, generator=generator)


def _check_clusters(clusters: Tensor, n: int, k: int) -> None:
    if clusters.shape != (n,) or clusters.dtype != torch.long:
        raise ValueError(
            f"clusters must be ({n},) of torch.int64, got {tuple(clusters.shape)} of "
            f"{clusters.dtype}"
        )
    if n and not 0 <= int(clusters.min()) <= int(clusters.max()) < k:
        raise ValueError(
            f"clusters must be in 0..{k - 1}, got {int(clusters.min())}..{int(clusters.max())}"
        )


def _certainty(model: MixtureOfAutoencoders, steps: int) -> list[Schedule]:
    first = float(model.certainty)
    if not first:
        return []
    falling = Halving(first, every=max(1, steps // STAGES), floor=LAST_CERTAINTY * first)
    return [ScheduledBuffer("certainty", model.certainty, falling)]
