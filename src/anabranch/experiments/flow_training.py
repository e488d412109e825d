"""How the experiments with image flows train for a given time, and score."""

import copy
import math
import time
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.distributions import Distribution
from anabranch.experiments.pixel_training import in_parts
from anabranch.metrics import bits_per_dim
from anabranch.objectives import Likelihood
from anabranch.training import CosineDecay, FitOptions, FitResult, fit

# Steps of the part of an epoch that is timed, rows that choose the state that is kept, and rows
# that set the normalisations.
PART_STEPS, CHOSEN, FIRST = 50, 400, 512
OPTIONS = FitOptions(
    batch_size=64,
    learning_rate=1e-2,
    average=0.999,
    clip_norm=500.0,
    patience=None,
    min_evaluation_steps=4 * PART_STEPS,
    progress=False,
)


class Trained(NamedTuple):
    """A model in evaluation mode, what its fit did, and the processor seconds that it took."""

    model: Distribution
    result: FitResult
    cpu_s: float


def train_flow(
    model: Distribution,
    x: Tensor,
    seconds: float | None = None,
    *,
    seed: int,
    context: Tensor | None = None,
    options: FitOptions = OPTIONS,
) -> Trained:
    """Maximise the likelihood, with a rate that ends as half a cosine.

    A time is that of the processor, by which a busy machine is counted as a free one; the number of
    steps that it allows is measured by a few steps of a copy.

    Args:
        model: at its start; its normalisations are set here.
        x: rows of pixels, the last of which choose the state that is kept.
        seconds: of one processor; None for the epochs of ``options``.
        seed: of the order of rows and of the dequantization.
        context: one for each row, for a model that takes one.
        options: of the loop; with a time, its epochs are parts of ``PART_STEPS`` steps.
    """
    data = {"x": x} if context is None else {"x": x, "context": context}
    chosen = {key: rows[-CHOSEN:] for key, rows in data.items()}
    data = {key: rows[:-CHOSEN] for key, rows in data.items()}
    first = {key: rows[:FIRST] for key, rows in data.items()}
    source = torch.Generator().manual_seed(seed)
    model.initialize(first["x"], first.get("context"), generator=source)
    n_rows = len(data["x"])
    run = partial(_run, data=data, chosen=chosen, seed=seed)
    if seconds is None:
        return run(model, options, part=n_rows)
    run = partial(run, part=min(PART_STEPS * options.batch_size, n_rows))
    trial = replace(options, max_epochs=1, min_evaluation_steps=10**9)
    cost = run(copy.deepcopy(model), trial).cpu_s
    return run(model, replace(options, max_epochs=max(1, round(seconds / cost))))


def _run(
    model: Distribution,
    options: FitOptions,
    *,
    data: dict[str, Tensor],
    chosen: dict[str, Tensor],
    part: int,
    seed: int,
) -> Trained:
    started = time.process_time()
    steps = options.max_epochs * (part // options.batch_size)
    result = fit(
        Likelihood(model),
        data,
        chosen,
        options=options,
        schedules=[CosineDecay(steps)],
        generator=torch.Generator().manual_seed(seed),
        on_epoch=in_parts(len(data["x"]), part, seed),
    )
    return Trained(model.eval(), result, time.process_time() - started)


def pixels(X: NDArray[np.float64]) -> Tensor:
    """Rows of whole numbers as the models take them."""
    return torch.as_tensor(X, dtype=torch.float32)


@torch.no_grad()
def bits(model: Distribution, x: Tensor, context: Tensor | None = None) -> Tensor:
    """Bits per dimension of each image, by one draw of the noise, which the image decides."""
    parts = [None] * math.ceil(len(x) / CHOSEN) if context is None else context.split(CHOSEN)
    rows = zip(x.split(CHOSEN), parts, strict=True)
    found = [model.log_prob(one, given) for one, given in rows]
    return bits_per_dim(torch.cat(found).double(), x.shape[1])


def mean_bits(model: Distribution, x: Tensor, context: Tensor | None = None) -> float:
    """The mean over images."""
    return float(bits(model, x, context).mean())
