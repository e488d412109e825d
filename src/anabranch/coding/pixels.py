"""Images to codes and back, with an integer model."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.coding.integer_model import SEEN, IntegerModel
from anabranch.coding.rans import Code, Decoder, encode
from anabranch.distributions.local_context import first_places
from anabranch.functional.pixel_logits import median_edge

ROWS = 2400  # pixels that are looked at together
Pixels = NDArray[np.uint8]


def encode_pixels(model: IntegerModel, pixels: Pixels, lanes: int) -> Code:
    """Code images side by side.

    Args:
        model: the model.
        pixels: (n, places) levels of the model.
        lanes: of the code.

    Raises:
        ValueError: for another shape, or levels that the model has not.
    """
    check_pixels(model, pixels)
    starts = np.empty((model.size, len(pixels)), np.uint32)
    sizes = np.empty_like(starts)
    done = 0
    for start, size in intervals(model, pixels):
        starts[:, done : done + len(start)] = start.T
        sizes[:, done : done + len(size)] = size.T
        done += len(size)
    return encode(starts, sizes, lanes)


def information(model: IntegerModel, pixels: Pixels) -> NDArray[np.float64]:
    r"""What the model asks for each image, :math:`-\sum_t \log_2 f_t / 65536` bits, (n,).

    Raises:
        ValueError: as for `encode_pixels`.
    """
    check_pixels(model, pixels)
    parts = [
        (16 - np.log2(sizes.astype(np.float64))).sum(1) for _, sizes in intervals(model, pixels)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


@torch.no_grad()
def decode_pixels(model: IntegerModel, code: Code, n: int) -> Pixels:
    """The images of a code, all of them one place at a time.

    Args:
        model: that the code was made with.
        code: the code.
        n: how many images.

    Returns:
        (n, places).

    Raises:
        DamagedCodeError: for a code that `encode_pixels` has not written.
    """
    decoder, pixels = Decoder(code), np.empty((model.size, n), np.uint8)
    with model.quick_products():
        for place, starts in enumerate(_Contexts(model, n, pixels)):
            pixels[place] = decoder.turn(starts)
    decoder.finish()
    return np.ascontiguousarray(pixels.T)


class _Contexts:
    """What is known of each place of n images, while the places before it are written.

    Iterating gives, for each place in turn, where the intervals of its levels begin, (n, levels);
    its levels must then stand in ``pixels`` before the next one is asked for.
    """

    def __init__(self, model: IntegerModel, n: int, pixels: Pixels) -> None:
        self.model, self.pixels, self.columns = model, pixels, torch.arange(n)
        around, n_codes = model.neighbourhood, model.codes.shape[1]
        margin = around.padded(torch.zeros(1, model.size)).shape[1]
        # places are rows, so that the neighbours of all images are copied in runs
        self.canvas = torch.full((margin, n), -model.middle, dtype=model.carrier)
        self.inputs = torch.zeros(around.n_values + n_codes + model.levels, n, dtype=model.carrier)
        parts = self.inputs.split([around.n_values, n_codes, model.levels])
        self.neighbours, self.codes, self.seen = parts

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        model, around = self.model, self.model.neighbourhood
        codes = model.codes.to(model.carrier).unsqueeze(-1)
        for place, centre in enumerate(around.centres.tolist()):
            torch.index_select(self.canvas, 0, around.index[place], out=self.neighbours)
            self.codes.copy_(codes[place].expand_as(self.codes))
            predicted = median_edge(*self.canvas[around.nearest[:, place]]) + model.middle
            sizes = model.frequencies(model.logits(self.inputs.T, predicted.long()))
            yield (sizes.cumsum(-1, dtype=torch.int32) - sizes).numpy()
            levels = torch.from_numpy(self.pixels[place].astype(np.int64))
            self.canvas[centre] = levels.to(model.carrier) - model.middle
            self.seen[levels, self.columns] = SEEN


def check_pixels(model: IntegerModel, pixels: Pixels) -> None:
    """Refuse what the model cannot code.

    Raises:
        ValueError: for another shape, or levels that the model has not.
    """
    if pixels.ndim != 2 or pixels.shape[1] != model.size:
        raise ValueError(f"pixels must have the shape (n, {model.size}), got {pixels.shape}")
    if pixels.size and int(pixels.max()) >= model.levels:
        raise ValueError(
            f"the model codes the levels 0..{model.levels - 1}, and {int(pixels.max())} is none"
        )


@torch.no_grad()
def intervals(
    model: IntegerModel, pixels: Pixels
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """For some images at a time the intervals of their pixels: starts and sizes, (m, places).

    Args:
        model: the model.
        pixels: (n, places) levels of the model.
    """
    step = max(1, ROWS // model.size)
    for first in range(0, len(pixels), step):
        x = torch.from_numpy(pixels[first : first + step].astype(np.int64))
        levels = x.flatten().unsqueeze(-1)
        with model.quick_products():
            sizes = model.frequencies(model.logits(*_inputs(model, x)))
        before = sizes.cumsum(-1, dtype=torch.int32)
        size = sizes.gather(-1, levels)
        start = before.gather(-1, levels) - size
        yield start.view(x.shape).numpy(), size.view(x.shape).numpy()


def _inputs(model: IntegerModel, x: Tensor) -> tuple[Tensor, Tensor]:
    """What the first layer sees of all places of images (m, places), and the levels predicted."""
    canvas = model.neighbourhood.padded(x.to(model.carrier)) - model.middle
    around = canvas[:, model.neighbourhood.index]
    codes = model.codes.to(model.carrier).expand(len(x), -1, -1)
    places = torch.arange(model.size).unsqueeze(-1)
    seen = (first_places(x, model.levels).unsqueeze(1) < places).to(model.carrier).mul_(SEEN)
    predicted = median_edge(*canvas[:, model.neighbourhood.nearest].unbind(1)) + model.middle
    inputs = torch.cat([around, codes, seen], -1)
    return inputs.flatten(0, 1), predicted.long().flatten()


def usual_lanes(n: int) -> int:
    """How many lanes n images take: enough to be quick, few enough to cost next to nothing.

    Example:
        >>> usual_lanes(1), usual_lanes(100), usual_lanes(10_000)
        (1, 6, 256)
    """
    return min(256, max(1, n // 16))
