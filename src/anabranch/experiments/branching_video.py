"""A toy video whose future branches: what the past is worth, and long roll-outs."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.flow_training import OPTIONS, train_flow
from anabranch.models import VideoFlow, videoflow
from anabranch.problems import BranchingVideo

Array = NDArray[np.int64]
PROBLEM = BranchingVideo()
SIDE, LENGTH = PROBLEM.size, 4
ROWS, TESTED, DRAWS, ROLLED, FRAMES = 20_000, 1000, 500, 50, 100
SECONDS = {"cpu": 600.0, "full": 3600.0}  # of a processor, for each of both priors
MODEL: dict[str, Any] = {
    "length": LENGTH,
    "image_shape": [SIDE, SIDE],
    "levels": 2,
    "n_steps": 4,
    "channels": 48,
    "prior_channels": 48,
}
FIT = {"learning_rate": 5e-3}


class Future(NamedTuple):
    """Nats of a frame given those before, by both priors, and what is drawn.

    Attributes:
        video, alone: of frames behind the first, by the prior that sees the past and the other.
        valid: share of drawn next frames on which the block did one of both steps.
        right: share of steps to the right among these.
        rolled: share of roll-outs without a single frame that could not be.
    """

    seed: int
    video: float
    alone: float
    valid: float
    right: float
    rolled: float
    skipped: int
    cpu_s: float


@experiment("branching-video", seeds=1, summary="a toy video whose future branches, by VideoFlow")
def branching_video(run: Run) -> Outcome:
    """Nats that the past is worth, next frames, and roll-outs of a hundred frames from one."""
    rows = per_seed(run.seeds, future, SECONDS[run.budget])
    gain = float(rows.gain("alone", over="video").mean())
    excess = (rows.mean("video") - PROBLEM.entropy_given_past) / (SIDE**2 * np.log(2))
    uneven = float(np.abs(rows.column("right") - 0.5).max())
    figures = [
        Figure("nats a frame that the past is worth, of 3.466", gain, 3.0, "higher"),
        Figure("bits/pixel above the entropy given the past", float(excess), 0.05, "lower"),
        Figure("next frames that can be, share", rows.mean("valid"), 0.95, "higher"),
        Figure("|share of steps to the right - .5|", uneven, 0.07, "lower"),
        Figure("roll-outs of 100 frames that can be, share", rows.mean("rolled"), 0.8, "higher"),
        Figure("nats a frame without the past", rows.mean("alone")),
        Figure("steps that were not finite", float(rows.column("skipped").max()), 0.0, "lower"),
        Figure("processor seconds of both trainings", rows.mean("cpu_s")),
    ]
    settings = {"model": MODEL, "rows": ROWS, "seconds": SECONDS[run.budget], **FIT}
    return Outcome(figures, settings, rows.table())


def future(seed: int, seconds: float) -> Future:
    """Train both priors on videos, and draw what follows a single frame."""
    x, test = (_rows(n, 10_000 * part + seed) for part, n in enumerate((ROWS, TESTED)))
    options = replace(OPTIONS, **FIT)
    fits = [
        train_flow(_model(past, seed), x, seconds, seed=seed, options=options)
        for past in (True, False)
    ]
    models = [fit.model for fit in fits]
    model, other = models
    assert isinstance(model, VideoFlow)
    assert isinstance(other, VideoFlow)
    source = torch.Generator().manual_seed(seed)
    first = test.reshape(TESTED, LENGTH, -1)[:, :1]
    steps = _steps(model.extend(first[:DRAWS], 1, generator=source))
    rolled = _steps(model.extend(first[:ROLLED], FRAMES, generator=source))
    return Future(
        seed,
        _nats(model, test, seed),
        _nats(other, test, seed),
        float((steps != 0).mean()),
        float((steps[steps != 0] > 0).mean()) if (steps != 0).any() else 0.0,
        float((rolled != 0).all(1).mean()),
        sum(fit.result.skipped_steps for fit in fits),
        sum(fit.cpu_s for fit in fits),
    )


def _model(past: bool, seed: int) -> VideoFlow:
    return videoflow(LENGTH * SIDE**2, **MODEL, past=past, seed=seed)


def _rows(n: int, seed: int) -> Tensor:
    videos = PROBLEM.sample(n, LENGTH, random_state=seed)
    return torch.as_tensor(videos).float().flatten(1)


@torch.no_grad()
def _nats(model: VideoFlow, x: Tensor, seed: int) -> float:
    """Mean bound of frames behind the first, one draw of the dequantization each."""
    source = torch.Generator().manual_seed(seed)
    return -float(model.frame_log_probs(x, generator=source)[:, 1:].mean())


def _steps(videos: Tensor) -> Array:
    """Steps between the frames of rows (N, T, D), (N, T - 1)."""
    frames = videos.reshape(*videos.shape[:2], SIDE, SIDE).long().numpy()
    return PROBLEM.steps(frames[:, :-1], frames[:, 1:])
