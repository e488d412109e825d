"""Variants of NVISA: how each is trained on small images, and how its run is judged."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.metrics import clustering_accuracy, normalized_mutual_info
from anabranch.models import GaussianMixtureVAE, nvisa
from anabranch.objectives import LatentMixtureBound, make_bound
from anabranch.procedures import TrainingRun
from anabranch.procedures.std_annealing import first_std, std_annealing
from anabranch.training import (
    DivergedWarning,
    FitOptions,
    FitResult,
    RateHalving,
    Schedule,
    ScheduledBuffer,
)

Labels = NDArray[np.int64]

K, LATENT, LEVELS = 10, 10, 256
# Last bound of the standard deviations, as published; without annealing the only one.
LAST = 1e-4
RATE, RATE_HALVINGS = 1e-3, 4
BATCH, VALIDATION = 128, 0.05
# A run has diverged that ends with this share of what its loss had gained lost again, and has
# collapsed with fewer clusters in use; a cluster is in use that holds this share of the rows.
LOST, FEWEST, USED = 0.1, 3, 0.01


class Variant(NamedTuple):
    """A row of the table: what is trained, and the accuracy published for it, if any."""

    name: str
    published: float | None
    annealed: bool
    objective: dict[str, Any]
    recipe: dict[str, Any] = {}  # noqa: RUF012 - a tuple's default, which nothing changes


def variants(many: int) -> list[Variant]:
    """The rows of table II; NVIL and VIMCO-15 without annealing diverged there."""
    enum, nvil = {"name": "enumerate"}, {"name": "nvil"}
    few, more = {"name": "vimco"}, {"name": "vimco", "samples": many}
    bits, mean_field = {"likelihood": "bernoulli"}, {"posterior": "mean_field"}
    return [
        Variant("EnumY (Bernoulli)", 0.9512, False, enum, bits),
        Variant("EnumY", 0.7843, False, enum),
        Variant("EnumY*", 0.9381, True, enum),
        Variant("NVIL", None, False, nvil),
        Variant("NVIL*", None, True, nvil),
        Variant("VIMCO-15", None, False, few),
        Variant("VIMCO-15 (Bernoulli)", 0.9574, False, few, bits),
        Variant("VIMCO-many", 0.7142, False, more),
        Variant("VIMCO-many*", 0.9130, True, more),
        Variant("VIMCO-15* (mean-field)", 0.9525, True, few, mean_field),
        Variant("VIMCO-15*", 0.9840, True, few),
    ]


class Score(NamedTuple):
    """How a run ended, judged by test images in its last state.

    Attributes:
        accuracy: of q(y|x).
        information: normalised mutual information with the classes.
        entropy: H(mean q), in nats.
        used: clusters that hold at least 1 % of the images.
        loss: on validation rows, in nats.
        end: "diverged", "collapsed" or "ran".
        seconds: of training.
        curve: the training loss of each epoch, in nats.
    """

    accuracy: float
    information: float
    entropy: float
    used: int
    loss: float
    end: str
    seconds: float
    curve: list[float]


def score(
    seed: int,
    variant: Variant,
    pixels: Tensor,
    test: tuple[Tensor, Labels],
    settings: dict[str, Any],
    bound: Callable[[int], float] | None = None,
) -> Score:
    """Train one variant on rows that the seed chooses, and judge the state it ends in.

    Args:
        seed: of rows, weights and draws.
        variant: what is trained.
        pixels: (n, D) in [0, 255].
        test: pixels, and the classes, which serve for scoring only.
        settings: of a budget.
        bound: of the standard deviations by step; None for the compressed schedule, or for none
            where the variant is not annealed.
    """
    device = settings.get("device", "cpu")
    some = np.random.RandomState(seed).permutation(len(pixels))[: settings["rows"]]
    model, result = train(variant, pixels[some].to(device), settings, seed, bound)
    with torch.no_grad():
        parts = (test[0] / LEVELS).to(device).split(2048)
        log_q = torch.cat([model.log_q(part) for part in parts], 1).double().cpu()
    return _judged(log_q, test[1], result)


def train(
    variant: Variant,
    pixels: Tensor,
    settings: dict[str, Any],
    seed: int,
    bound: Callable[[int], float] | None = None,
) -> tuple[GaussianMixtureVAE, FitResult]:
    """A model from a random start, in its last state, not its best: a run may get worse."""
    source = torch.Generator(pixels.device).manual_seed(seed)
    n_held_out = held_out_rows(len(pixels))
    validation, own = _spread(pixels[:n_held_out], source), pixels[n_held_out:]
    data = {"x": _spread(own, source)}
    size: Any = {"latent": LATENT, "hidden": settings["hidden"], "floor": LAST}
    model: Any = nvisa(own.shape[1], K, **size, **variant.recipe, seed=seed)
    own_seed = torch.Generator().manual_seed(seed)
    bound_of_rows = make_bound(variant.objective, own.shape[1], generator=own_seed)
    objective = LatentMixtureBound(model, bound_of_rows).to(own.device)
    steps = settings["epochs"] * steps_per_epoch(len(pixels))
    schedules: list[Schedule] = [RateHalving(max(1, steps // (RATE_HALVINGS + 1)))]
    if variant.annealed and bound is None:
        bound = std_annealing(steps, first=first_std(own.shape[1]), last=LAST)
    if bound is not None:
        schedules.append(ScheduledBuffer("std_bound", model.floor, bound))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergedWarning)  # which is what is asked
        order = torch.Generator().manual_seed(seed)
        run = TrainingRun(_options(settings["epochs"]), order, source, schedules, keep="last")
        result = run.fit(
            objective,
            data,
            {"x": validation},
            on_epoch=lambda epoch: _renew(data["x"], own, source),
        )
    return model.eval(), result


def held_out_rows(n_rows: int) -> int:
    """How many of the rows validate."""
    return max(2, int(VALIDATION * n_rows))


def steps_per_epoch(n_rows: int) -> int:
    """Whole batches of the rows that are trained on."""
    return max(1, (n_rows - held_out_rows(n_rows)) // BATCH)


def _options(epochs: int) -> FitOptions:
    return FitOptions(
        max_epochs=epochs,
        batch_size=BATCH,
        learning_rate=RATE,
        patience=None,
        min_evaluation_steps=1,
        progress=False,
    )


def _spread(pixels: Tensor, source: torch.Generator) -> Tensor:
    """Uniform noise between the levels, and [0, 1]."""
    noise = torch.rand(pixels.shape, generator=source, device=pixels.device)
    return (pixels + noise) / LEVELS


def _renew(x: Tensor, pixels: Tensor, source: torch.Generator) -> None:
    x.copy_(_spread(pixels, source))


def _judged(log_q: Tensor, labels: Labels, result: FitResult) -> Score:
    clusters = log_q.argmax(0).numpy()
    entropy = float(torch.special.entr(log_q.exp().mean(1)).sum())
    used = int((np.bincount(clusters, minlength=K) >= USED * len(clusters)).sum())
    losses = [entry["validation_loss"] for entry in result.history]
    return Score(
        clustering_accuracy(labels, clusters),
        normalized_mutual_info(labels, clusters),
        entropy,
        used,
        losses[-1],
        how_it_ended(result.stopped, losses, entropy, used),
        result.seconds,
        [entry["train_loss"] for entry in result.history[1:]],
    )


def how_it_ended(stopped: str, losses: Sequence[float], entropy: float, used: int) -> str:
    """Whether a run went wrong.

    It diverged where it was stopped for non-finite steps, or lost more than a tenth of what it had
    gained; it collapsed where H(mean q) < log 2 or fewer than three clusters are in use.

    Example:
        >>> how_it_ended("max_epochs", [100.0, -100.0, -50.0], 2.3, 10)
        'diverged'
        >>> how_it_ended("max_epochs", [100.0, -100.0], 2.3, 2)
        'collapsed'
    """
    lowest = min(losses)
    if stopped == "diverged" or losses[-1] - lowest > LOST * (losses[0] - lowest):
        return "diverged"
    return "collapsed" if entropy < math.log(2) or used < FEWEST else "ran"
