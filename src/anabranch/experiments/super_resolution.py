"""Digits of 28 x 28 pixels given what is left of them at 14 x 14."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.flow_training import OPTIONS, mean_bits, pixels, train_flow
from anabranch.experiments.image_data import images
from anabranch.experiments.pictures import image_sheet
from anabranch.models import image_density, independent_pixels
from anabranch.models.counting import free_parameters

Array = NDArray[np.float64]
LEVELS, SIDE, SHOWN = 256, 28, 8
SHAPES: dict[str, Any] = {"image_shape": [SIDE, SIDE]}
GIVEN: dict[str, Any] = {"condition_shape": [SIDE // 2, SIDE // 2]}
FLOW: dict[str, Any] = {"name": "conditional_glow", "n_steps": 4, "channels": 48, **GIVEN}
# of about as many parameters
PIXELS: dict[str, Any] = {"components": 1, "channels": 96, "n_blocks": 4, **GIVEN}
SECONDS = {"cpu": 600.0, "full": 3600.0}  # of a processor, for each model
ALPHA, TESTED, DRAWS = 0.002, 10_000, 200


class Resolved(NamedTuple):
    """Bits per dimension, how well draws agree with what was given, and what pictures show.

    Attributes:
        off: root mean square of a draw that is made small again less what was given, grey levels.
        off_truth: the same of another digit's image.
    """

    seed: int
    flow: float
    pixels: float
    size: float
    off: float
    off_other: float
    skipped: int
    cpu_s: float
    shown: list[Any]


@experiment(
    "super-resolution",
    seeds=1,
    summary="digits at twice the resolution, by conditional Glow and by single pixels",
    needs_data=True,
)
def super_resolution(run: Run) -> Outcome:
    """Bits per dimension of both, and whether draws agree with the images that they are given."""
    train, test = (images(run, "mnist", part)[0] for part in ("train", "t10k"))
    rows = per_seed(run.seeds, resolved, train, test[:TESTED], SECONDS[run.budget])
    saved = 1 - rows.mean("flow") / rows.mean("pixels")
    figures = [
        Figure("bits/dim saved by the flow, share", saved, 0.15, "higher"),
        Figure("conditional Glow, bits/dim", rows.mean("flow")),
        Figure("single pixels, bits/dim", rows.mean("pixels")),
        Figure("|parameters of the flow / of single pixels - 1|", abs(rows.mean("size") - 1)),
        Figure("draws made small less what was given, RMS grey levels", rows.mean("off")),
        Figure("the same of other digits", rows.mean("off_other")),
        Figure(
            "the first less the second", rows.mean("off") - rows.mean("off_other"), 0.0, "lower"
        ),
        Figure("steps that were not finite", float(rows.column("skipped").max()), 0.0, "lower"),
    ]
    settings = {"flow": FLOW, "pixels": PIXELS, "alpha": ALPHA, "seconds": SECONDS[run.budget],
                "fit": OPTIONS.trajectory()}  # fmt: skip
    return Outcome(figures, settings, rows.table(), {"draws.png": _picture(*rows[0].shown)})


def resolved(seed: int, train: Array, test: Array, seconds: float) -> Resolved:
    """Train both models for the same time, and draw from the flow."""
    x, held_out = pixels(train), pixels(test)
    small, given = smaller(x), smaller(held_out)
    flow = image_density(
        SIDE * SIDE,
        flow=FLOW,
        dequantization="variational",
        alpha=ALPHA,
        context_features=small.shape[1],
        **SHAPES,
        seed=seed,
    )
    alone = independent_pixels(SIDE * SIDE, **SHAPES, **PIXELS, seed=seed)
    size = free_parameters(flow) / free_parameters(alone)
    fits = [train_flow(model, x, seconds, seed=seed, context=small) for model in (flow, alone)]
    bits = [mean_bits(each.model, held_out, given) for each in fits]
    source = torch.Generator().manual_seed(seed)
    drawn = fits[0].model.sample((), given[:DRAWS], source)
    off, other = (
        float((LEVELS / 2 * (smaller(part) - given[:DRAWS])).square().mean().sqrt())
        for part in (drawn, held_out[:DRAWS].roll(1, 0))
    )
    skipped = sum(each.result.skipped_steps for each in fits)
    blurred = fits[1].model.sample((), given[:SHOWN], source)
    shown = [held_out[:SHOWN], given[:SHOWN], drawn[:SHOWN], blurred]
    seconds = sum(each.cpu_s for each in fits)
    return Resolved(seed, bits[0], bits[1], size, off, other, skipped, seconds, shown)


def smaller(x: Tensor) -> Tensor:
    """Means of squares of 2 x 2 pixels, between -1 and 1, as rows.

    Example:
        >>> smaller(torch.full((1, 784), 255.0)).unique()
        tensor([1.])
    """
    images = x.reshape(-1, 1, SIDE, SIDE)
    means = torch.nn.functional.avg_pool2d(images, 2).flatten(1)
    return 2 * means / (LEVELS - 1) - 1


def _picture(truth: Tensor, given: Tensor, drawn: Tensor, blurred: Tensor) -> bytes:
    """Images, what was given of them, and what both models draw, below each other."""
    side = SIDE // 2
    large = given.reshape(-1, side, side).repeat_interleave(2, 1).repeat_interleave(2, 2)
    rows = [truth, (large.flatten(1) + 1) * (LEVELS - 1) / 2, drawn, blurred]
    return image_sheet([part.reshape(-1, 1, SIDE, SIDE).numpy() for part in rows], LEVELS)
