"""Train a local-context model of images, and round it to whole numbers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from anabranch.coding import IntegerModel, freeze
from anabranch.coding.pixels import information
from anabranch.distributions.local_context import LocalContext
from anabranch.objectives.some_places import SomePlaces
from anabranch.training import CosineDecay, FitOptions, FitResult, fit
from anabranch.training.precision import computes_bfloat16

# Places of a step: enough that the overhead of one is small, few enough to stay in the cache.
PLACES = 2048
# Images of an epoch, at most: the learning rate falls, and states are scored, after each.
EPOCH = 5000


@dataclass(frozen=True)
class FittedCoder:
    """What a training of a coder came to.

    Attributes:
        integer: the model in whole numbers.
        result: of the loop.
        float_bits: bits per pixel of the float model on validation images.
        bits: of the one in whole numbers.
    """

    integer: IntegerModel
    result: FitResult
    float_bits: float
    bits: float

    @property
    def loss(self) -> float:
        """The share by which rounding has made codes longer."""
        return self.bits / max(self.float_bits, 1e-12) - 1


def fit_coder(
    model: LocalContext,
    images: Tensor,
    validation: Tensor,
    *,
    options: FitOptions,
    seed: int = 0,
    resume: bool = False,
    identity: dict[str, object] | None = None,
) -> FittedCoder:
    r"""Maximise the likelihood at some places a step, then freeze the model.

    Args:
        model: is trained in place.
        images: (n, \*event_shape), of any dtype; bytes take the least memory.
        validation: likewise, on which the best state is chosen, and the rate after rounding is
            measured.
        options: of the loop; an epoch goes through 5000 images at most, each pass in its own order.
        seed: of the order of rows and of the places.
        resume: go on from the checkpoint of the options.
        identity: what such a checkpoint must share.

    Example:
        >>> model = LocalContext((4, 4), levels=2, n_neighbours=6, hidden=[8])
        >>> images = torch.ones(20, 4, 4, dtype=torch.uint8)
        >>> found = fit_coder(model, images, images, options=FitOptions(max_epochs=3, batch_size=4))
        >>> found.bits < 1
        True
    """
    size = model.neighbourhood.size
    share = min(1.0, PLACES / (options.batch_size * size))
    objective = SomePlaces(model, share, reduced=computes_bfloat16(images.device))
    batch = min(options.batch_size, len(images))
    steps = options.max_epochs * (min(EPOCH, len(images)) // batch)
    result = fit(
        objective,
        {"x": images},
        {"x": validation},
        options=options,
        schedules=[CosineDecay(max(1, steps))],
        generator=torch.Generator().manual_seed(seed),
        resume=resume,
        identity=identity,
        on_epoch=lambda epoch: _part(len(images), epoch, seed),
    )
    model.eval()
    integer = freeze(model.cpu(), images[:64].cpu())
    with torch.no_grad():
        x = validation.cpu()
        nats = -float(model.log_prob(x.to(model.codes.dtype)).double().mean())
    pixels = x.flatten(1).to(torch.uint8).numpy()
    per_pixel = float(torch.tensor(2.0).log()) * size
    return FittedCoder(
        integer, result, nats / per_pixel, float(information(integer, pixels).mean()) / size
    )


def _part(n: int, epoch: int, seed: int) -> Tensor | None:
    """The rows of an epoch: the next ones of a pass, None for all."""
    if n <= EPOCH:
        return None
    parts = n // EPOCH
    source = torch.Generator().manual_seed(seed + epoch // parts)
    order = torch.randperm(n, generator=source)
    return order[epoch % parts * EPOCH :][:EPOCH]
