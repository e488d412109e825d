"""Images to codes and back, with an integer model."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.coding.integer_model import SEEN, IntegerModel, starts_of
from anabranch.coding.rans import Code, Decoder, encode
from anabranch.distributions.local_components import choosing_places
from anabranch.distributions.local_context import first_places
from anabranch.functional.pixel_logits import median_edge

ROWS = 2400  # pixels that are looked at together
Pixels = NDArray[np.uint8]


def encode_pixels(model: IntegerModel, pixels: Pixels, lanes: int) -> Code:
    """Code images side by side; of a mixture the component of each image first.

    Args:
        model: the model.
        pixels: (n, places) levels of the model.
        lanes: of the code.

    Raises:
        ValueError: for another shape, or levels that the model has not.
    """
    check_pixels(model, pixels)
    components = choose(model, pixels)
    named = int(model.n_components > 1)  # turns before the first place
    starts = np.empty((named + model.size, len(pixels)), np.uint32)
    sizes = np.empty_like(starts)
    if named:
        starts[0] = starts_of(model.inputs.weights).numpy()[components]
        sizes[0] = model.inputs.weights.numpy()[components]
    done = 0
    for start, size in intervals(model, pixels, components):
        starts[named:, done : done + len(start)] = start.T
        sizes[named:, done : done + len(size)] = size.T
        done += len(size)
    return encode(starts, sizes, lanes)


def choose(model: IntegerModel, pixels: Pixels) -> NDArray[np.int64]:
    """The component that each image is coded by, (n,): the shortest code on some of its places.

    Another choice costs bits, and is decoded as well.

    Args:
        model: the model.
        pixels: (n, places) levels of the model.
    """
    if model.n_components == 1:
        return np.zeros(len(pixels), np.int64)
    places = choosing_places(model.size)
    scale = model.size / len(places)
    index = 16 - np.log2(model.inputs.weights.numpy().astype(np.float64))
    bits = [scale * _bits(model, pixels, k, places) + index[k] for k in range(model.n_components)]
    return np.argmin(bits, axis=0)


def information(model: IntegerModel, pixels: Pixels) -> NDArray[np.float64]:
    r"""What the model asks for each image, :math:`-\sum_t \log_2 f_t / 65536` bits, (n,).

    Of a mixture it is that of the component which codes the image, and of the component's index.

    Raises:
        ValueError: as for `encode_pixels`.
    """
    check_pixels(model, pixels)
    components = choose(model, pixels)
    index = 16 - np.log2(model.inputs.weights.numpy().astype(np.float64))
    return _bits(model, pixels, components) + index[components]


def component_information(model: IntegerModel, pixels: Pixels) -> NDArray[np.float64]:
    r"""What each component asks for each image and for its index, in bits, (K, n).

    Bits back would come to :math:`-\log_2 \sum_k 2^{-b_k}`, at most the entropy of the posterior
    below the least :math:`b_k`.

    Raises:
        ValueError: as for `encode_pixels`.
    """
    check_pixels(model, pixels)
    index = 16 - np.log2(model.inputs.weights.numpy().astype(np.float64))
    return np.stack([_bits(model, pixels, k) + index[k] for k in range(model.n_components)])


def _bits(
    model: IntegerModel,
    pixels: Pixels,
    components: NDArray[np.int64] | int,
    places: Tensor | None = None,
) -> NDArray[np.float64]:
    given = np.full(len(pixels), components, np.int64)
    parts = [
        (16 - np.log2(sizes.astype(np.float64))).sum(1)
        for _, sizes in intervals(model, pixels, given, places)
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
    components = named_components(model.inputs.weights, decoder, n)
    with model.quick_products():
        for place, starts in enumerate(_Contexts(model, components, pixels)):
            pixels[place] = decoder.turn(starts)
    decoder.finish()
    return np.ascontiguousarray(pixels.T)


def named_components(weights: Tensor, decoder: Decoder, n: int) -> NDArray[np.int64]:
    """The components of the n images of a code, (n,), which stand before the images.

    Args:
        weights: (K,) int32, of the components.
        decoder: of a code, at its beginning.
        n: how many images.

    Raises:
        DamagedCodeError: for a code that `encode_pixels` has not written.
    """
    if len(weights) == 1:
        return np.zeros(n, np.int64)
    return decoder.turn(np.broadcast_to(starts_of(weights).numpy(), (n, len(weights))))


class _Contexts:
    """What is known of each place of n images, while the places before it are written.

    Iterating gives, for each place in turn, where the intervals of its levels begin, (n, levels);
    its levels must then stand in ``pixels`` before the next one is asked for.
    """

    def __init__(self, model: IntegerModel, components: NDArray[np.int64], pixels: Pixels) -> None:
        n = len(components)
        self.model, self.pixels, self.columns = model, pixels, torch.arange(n)
        around, n_codes = model.neighbourhood, model.inputs.codes.shape[1]
        embeddings = model.inputs.embeddings[torch.from_numpy(components)].T
        margin = around.padded(torch.zeros(1, model.size)).shape[1]
        # places are rows, so that the neighbours of all images are copied in runs
        self.canvas = torch.full((margin, n), -model.middle, dtype=model.carrier)
        sizes = [around.n_values, n_codes, len(embeddings), model.levels]
        self.inputs = torch.zeros(sum(sizes), n, dtype=model.carrier)
        self.neighbours, self.codes, told, self.seen = self.inputs.split(sizes)
        told.copy_(embeddings)

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        model, around = self.model, self.model.neighbourhood
        codes = model.inputs.codes.to(model.carrier).unsqueeze(-1)
        for place, centre in enumerate(around.centres.tolist()):
            torch.index_select(self.canvas, 0, around.index[place], out=self.neighbours)
            self.neighbours.mul_(model.inputs.unit)
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
    model: IntegerModel,
    pixels: Pixels,
    components: NDArray[np.int64] | None = None,
    places: Tensor | None = None,
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """For some images at a time the intervals of their pixels: starts and sizes, (m, places).

    Args:
        model: the model.
        pixels: (n, places) levels of the model.
        components: (n,) that code them; None for the first one.
        places: those that are looked at; None for all.
    """
    places = torch.arange(model.size) if places is None else places
    components = np.zeros(len(pixels), np.int64) if components is None else components
    step = max(1, ROWS // len(places))
    for first in range(0, len(pixels), step):
        x = torch.from_numpy(pixels[first : first + step].astype(np.int64))
        levels = x[:, places]
        index = levels.flatten().unsqueeze(-1)
        chosen = torch.from_numpy(components[first : first + step])
        with model.quick_products():
            sizes = model.frequencies(model.logits(*_inputs(model, x, chosen, places)))
        before = sizes.cumsum(-1, dtype=torch.int32)
        size = sizes.gather(-1, index)
        start = before.gather(-1, index) - size
        yield start.view(levels.shape).numpy(), size.view(levels.shape).numpy()


def _inputs(
    model: IntegerModel, x: Tensor, components: Tensor, places: Tensor
) -> tuple[Tensor, Tensor]:
    """What the first layer sees of places of images (m, size), and the levels predicted."""
    near = model.neighbourhood
    canvas = near.padded(x.to(model.carrier)) - model.middle
    around = canvas[:, near.index[places]].mul_(model.inputs.unit)
    codes = model.inputs.codes[places].to(model.carrier).expand(len(x), -1, -1)
    told = model.inputs.embeddings[components].to(model.carrier)
    told = told.unsqueeze(1).expand(-1, len(places), -1)
    seen = first_places(x, model.levels).unsqueeze(1) < places.unsqueeze(-1)
    seen = seen.to(model.carrier).mul_(SEEN)
    predicted = median_edge(*canvas[:, near.nearest[:, places]].unbind(1)) + model.middle
    inputs = torch.cat([around, codes, told, seen], -1)
    return inputs.flatten(0, 1), predicted.long().flatten()


def usual_lanes(n: int) -> int:
    """How many lanes n images take: enough to be quick, few enough to cost next to nothing.

    Example:
        >>> usual_lanes(1), usual_lanes(100), usual_lanes(10_000)
        (1, 6, 256)
    """
    return min(256, max(1, n // 16))
