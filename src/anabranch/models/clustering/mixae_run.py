"""How a mixture of autoencoders is trained."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from anabranch.models.clustering.mixture_of_autoencoders import MixtureOfAutoencoders
from anabranch.models.clustering.watch import CollapsedWarning, log_responsibilities
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
    schedules: Sequence[Schedule] = (),
    generator: torch.Generator | None = None,
) -> FitResult:
    """Train all autoencoders and the assignments together.

    The learning rate falls by half a cosine, and the weight of certainty by halves to a sixteenth:
    once assignments are certain, they need no push. All epochs are run, for a loss whose weights
    change does not tell when to stop.

    Source: Zhang, Sun, Eriksson, Balzano (2017), arXiv:1712.07788.

    Args:
        model: from the recipe `mixae`.
        x: (N, D), standardised or in [0, 1].
        options: of the fit loop; without its patience. A batch has to hold all clusters.
        schedules: further schedules.
        generator: source of the row order.

    Returns:
        What the fit did; ``stopped`` is "collapsed" where all rows are in one cluster.

    Raises:
        ValueError: for fewer rows, or rows a batch, than components.

    Warns:
        CollapsedWarning: where all rows are in one cluster.

    Example:
        >>> from anabranch.models import mixae
        >>> x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        >>> model = mixae(3, 2, latent=1, hidden=[8], seed=0)
        >>> fit_mixae(model, x, options=FitOptions(max_epochs=2, batch_size=32)).steps
        4
    """
    options = options or FitOptions(max_epochs=200, batch_size=256)
    batch_size, k = min(len(x), options.batch_size), model.n_components
    if batch_size < k:
        raise ValueError(f"a batch must hold all {k} clusters, got {batch_size} rows")
    steps = max(1, options.max_epochs * (len(x) // batch_size))
    result = fit(
        model,
        {"x": x},
        options=replace(options, patience=None),
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


def _certainty(model: MixtureOfAutoencoders, steps: int) -> list[Schedule]:
    first = float(model.certainty)
    if not first:
        return []
    falling = Halving(first, every=max(1, steps // STAGES), floor=LAST_CERTAINTY * first)
    return [ScheduledBuffer("certainty", model.certainty, falling)]
