"""How the experiments with autoregressive image models train and score them."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from anabranch.distributions import PixelModel
from anabranch.models import build
from anabranch.objectives import Likelihood
from anabranch.training import CosineDecay, FitOptions, LateFloat32, fit

# Share of the steps that are taken in float32 at the end.
LATE = 0.1


class Trained(NamedTuple):
    """A model, and the processor seconds that its training took."""

    model: PixelModel
    cpu_s: float


def make_model(
    recipe: dict[str, Any], image_shape: tuple[int, ...], seed: int, budget: str = "cpu"
) -> PixelModel:
    """The model of a recipe that is a dict with its name; on a GPU for the full budget."""
    model = build(**recipe, image_shape=list(image_shape), seed=seed)
    assert isinstance(model, PixelModel)
    return model.to("cuda" if budget == "full" and torch.cuda.is_available() else "cpu")


def train(
    model: PixelModel,
    data: dict[str, Tensor],
    validation: dict[str, Tensor],
    options: FitOptions,
    *,
    seed: int,
    half: bool = False,
    on_epoch: Callable[[int], Tensor | None] | None = None,
) -> Trained:
    """Maximise the likelihood, with a rate that ends as half a cosine.

    Args:
        model: at its start.
        data: images x and, where it takes one, context.
        validation: the same, to choose the state that is kept.
        options: of the loop.
        seed: of the order of rows.
        half: take all steps but the last tenth in bfloat16.
        on_epoch: makes new data before each epoch, or says which rows it takes; see `fit`.
    """
    rows = on_epoch(0) if on_epoch is not None else None
    n_rows = len(data["x"]) if rows is None else len(rows)
    steps = options.max_epochs * (n_rows // options.batch_size)
    schedules: list[Any] = [CosineDecay(steps)]
    if half:
        model.half_precision = True
        schedules.append(LateFloat32(model, int((1 - LATE) * steps)))
    started, device = time.process_time(), next(model.parameters()).device
    first, second = (
        {name: tensor.to(device) for name, tensor in part.items()} for part in (data, validation)
    )
    fit(
        Likelihood(model),
        first,
        second,
        options=options,
        schedules=schedules,
        generator=torch.Generator().manual_seed(seed),
        on_epoch=on_epoch,
    )
    model.half_precision = False
    return Trained(model.eval(), time.process_time() - started)


@torch.no_grad()
def mean_nll(model: PixelModel, x: Tensor, context: Tensor | None = None) -> float:
    """Mean negative log-probability of images, in nats."""
    device = next(model.parameters()).device
    given = None if context is None else context.to(device)
    return -float(model.log_prob(x.to(device), given).double().mean())


@torch.no_grad()
def classified(model: PixelModel, x: Tensor, n_classes: int) -> Tensor:
    """The class under which each image is most likely, of a model whose context is its code."""
    device = next(model.parameters()).device
    shown = x.to(device)
    scores = [model.log_prob(shown, code) for code in torch.eye(n_classes, device=device)]
    return torch.stack(scores).argmax(0).cpu()


def in_parts(n_rows: int, size: int, seed: int) -> Callable[[int], Tensor]:
    """Rows of one epoch after the other that go through a table in parts of ``size``.

    So the rate falls, and the model is scored, several times in a pass over many images.
    """
    parts = torch.randperm(n_rows, generator=torch.Generator().manual_seed(seed)).split(size)
    whole = [part for part in parts if len(part) == size]
    return lambda epoch: whole[epoch % len(whole)]


def nearest(x: Tensor, train: Tensor) -> Tensor:
    """The training image nearest to each image, by Euclidean distance."""
    return train[torch.cdist(x.flatten(1), train.flatten(1)).argmin(1)]
