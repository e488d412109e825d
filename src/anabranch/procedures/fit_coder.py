"""Train a local-context model of images, and round it to whole numbers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from anabranch.coding import IntegerModel, freeze
from anabranch.coding.pixels import information
from anabranch.distributions import LocalContext, Mixture
from anabranch.distributions.local_components import LocalComponents
from anabranch.objectives.some_places import SomePlaces
from anabranch.training import CosineDecay, FitOptions, FitResult, fit
from anabranch.training.precision import computes_bfloat16

# Places of a step: enough that the overhead of one is small, few enough to stay in the cache.
PLACES = 2048
# Images of an epoch, at most: the learning rate falls, and states are scored, after each.
EPOCH = 5000
# Share of the epochs in which images keep the components they are given.
GIVEN = 0.2
# Of images one in TURNS is given a component anew in each epoch, by one in CHOOSING of its places,
# but no fewer than LEAST: all of them would take longer than the steps.
TURNS, CHOOSING, LEAST = 4, 16, 16


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
    model: LocalContext | Mixture,
    images: Tensor,
    validation: Tensor,
    *,
    components: Tensor | None = None,
    options: FitOptions,
    seed: int = 0,
    resume: bool = False,
    identity: dict[str, object] | None = None,
) -> FittedCoder:
    r"""Maximise the likelihood at some places a step, then freeze the model.

    A mixture is trained by classification EM (Celeux, Govaert 1992, "A classification EM algorithm
    for clustering and two stochastic versions"): each image trains one component; for the first
    fifth of the epochs the one that it is given, then the one that codes some of its places best.

    Args:
        model: is trained in place, a network or a mixture of embeddings for one.
        images: (n, \*event_shape), of any dtype; bytes take the least memory.
        validation: likewise, on which the best state is chosen, and the rate after rounding is
            measured.
        components: (n,) of the images of a mixture, to start from.
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
    network = LocalComponents.of(model).network
    size = network.neighbourhood.size
    share = min(1.0, PLACES / (options.batch_size * size))
    objective = SomePlaces(model, share, reduced=computes_bfloat16(images.device))
    batch = min(options.batch_size, len(images))
    steps = options.max_epochs * (min(EPOCH, len(images)) // batch)
    data = {"x": images}
    if components is not None:
        data["component"] = components.to(images.device)
        set_shares(model, components)
    result = fit(
        objective,
        data,
        {"x": validation},
        options=options,
        schedules=[CosineDecay(max(1, steps))],
        generator=torch.Generator().manual_seed(seed),
        resume=resume,
        identity=identity,
        on_epoch=_Epochs(model, data, seed, round(GIVEN * options.max_epochs)),
    )
    model.eval()
    integer = freeze(model.cpu(), images[:64].cpu())
    with torch.no_grad():
        x = validation.cpu()
        parts = LocalComponents.of(model)
        nats = -float(parts.switching_log_prob(x.to(network.codes.dtype)).double().mean())
    pixels = x.flatten(1).to(torch.uint8).numpy()
    per_pixel = float(torch.tensor(2.0).log()) * size
    return FittedCoder(
        integer, result, nats / per_pixel, float(information(integer, pixels).mean()) / size
    )


class _Epochs:
    """Which images an epoch goes through, and, of a mixture, which components they train.

    Args:
        model: that is trained.
        data: with the images, and the components of these, which are written anew.
        seed: of the order of images and of the places that choose.
        given: epochs that keep the components as they are.
    """

    def __init__(
        self, model: LocalContext | Mixture, data: dict[str, Tensor], seed: int, given: int
    ) -> None:
        self.model, self.data, self.seed, self.given = model, data, seed, given

    def __call__(self, epoch: int) -> Tensor | None:
        """The rows of an epoch: the next ones of a pass, None for all."""
        rows = self._part(epoch)
        if "component" in self.data and epoch >= self.given:
            all_rows = torch.arange(len(self.data["x"])) if rows is None else rows
            self._choose(all_rows[epoch % TURNS :: TURNS], epoch)
        return rows

    def _part(self, epoch: int) -> Tensor | None:
        n = len(self.data["x"])
        if n <= EPOCH:
            return None
        parts = n // EPOCH
        source = torch.Generator().manual_seed(self.seed + epoch // parts)
        order = torch.randperm(n, generator=source)
        return order[epoch % parts * EPOCH :][:EPOCH]

    @torch.no_grad()
    def _choose(self, rows: Tensor, epoch: int) -> None:
        parts = LocalComponents.of(self.model)
        size = parts.network.neighbourhood.size
        source = torch.Generator().manual_seed(self.seed + epoch)
        places = torch.randperm(size, generator=source)[: max(LEAST, size // CHOOSING)]
        for some in rows.split(EPOCH // 10):
            x = self.data["x"][some].to(parts.network.codes.dtype)
            self.data["component"][some] = parts.likeliest(x, places.to(x.device))
        set_shares(self.model, self.data["component"])


@torch.no_grad()
def set_shares(model: LocalContext | Mixture, components: Tensor) -> None:
    """Make the weights of a mixture the shares of its components, none of them zero."""
    if isinstance(model, Mixture):
        counts = torch.bincount(components, minlength=model.n_components) + 1.0
        model.set_weights(counts.to(model.logits))
