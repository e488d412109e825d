"""From a float model to one in whole numbers."""

import math

import torch
from torch import Tensor

from anabranch.coding.integer_linear import MAX_SHIFT, MAX_WEIGHT, IntegerLinear
from anabranch.coding.integer_model import (
    INPUTS,
    LOGITS,
    ONE,
    SEEN,
    UNIT,
    IntegerInputs,
    IntegerModel,
)
from anabranch.coding.rans import TOTAL
from anabranch.distributions.local_components import LocalComponents
from anabranch.distributions.local_context import LocalContext
from anabranch.distributions.mixture import Mixture

ROOM = 1.25  # above the largest activation that was met
CALIBRATION = 64  # images


@torch.no_grad()
def freeze(model: LocalContext | Mixture, images: Tensor, *, bits: int = 8) -> IntegerModel:
    r"""Round a model to whole numbers, after its training.

    Each output of a layer has a scale of its own, which the next layer's weights undo; a power of
    two brings activations to ``bits`` bits. Eight bits cost hundredths of a per cent.

    Args:
        model: the trained model, or a mixture whose components are embeddings for one.
        images: (n, \*event_shape) on which activations are measured; 64 of them are enough.
        bits: of weights and activations, 4 to 8.

    Raises:
        ValueError: for other bits, no images, or a mixture of something else.

    Source: the rounding is that of Jacob et al. (2018), "Quantization and training of neural
    networks for efficient integer-arithmetic-only inference", arXiv:1712.05877; whole numbers for
    coders that agree are due to Balle, Johnston, Minnen (2019), "Integer networks for data
    compression with latent-variable models".

    Example:
        >>> model = LocalContext((4, 4), levels=2, n_neighbours=6, hidden=[8])
        >>> freeze(model, torch.zeros(1, 4, 4)).event_shape
        (4, 4)
    """
    if not 4 <= bits <= 8:
        raise ValueError(f"bits must be from 4 to 8, got {bits}")
    if not len(images):
        raise ValueError("images must hold at least one image")
    model, embeddings, log_weights = LocalComponents.of(model)
    largest = _activations(model, images[:CALIBRATION], embeddings)
    top = MAX_WEIGHT >> (8 - bits)
    codes, step = _rounded_codes(model.codes)
    told, own_step = _rounded_codes(embeddings)
    unit = INPUTS // model.middle
    around = torch.full((model.neighbourhood.n_values,), 1 / (model.middle * unit))
    scale = torch.cat([around, step, own_step, torch.full((model.levels,), 1 / SEEN)]).double()
    layers = []
    for layer, peak in zip(model.hidden_layers, largest, strict=True):
        weight, bias = layer.weight.double() * scale, layer.bias[:, 0].double()
        rows = top / weight.abs().amax(1).clamp_min(1e-12)
        limit = (1 << bits) - 1
        need = (rows * peak * ROOM / limit).clamp_min(1).log2().ceil()
        shift = need.clamp_max(MAX_SHIFT)
        layers.append(_layer(weight, bias, rows, shift, (0, limit)))
        scale = 2**shift / rows
    weight, bias = model.last.weight.double() * scale, model.last.bias[:, 0].double()
    need = (top / (UNIT * weight.abs().amax(1).clamp_min(1e-12))).log2().floor()
    shift = need.clamp(0, 16)
    layers.append(_layer(weight, bias, UNIT * 2**shift, shift, (-LOGITS, LOGITS)))
    near = model.neighbourhood
    neighbours = near.n_neighbours, near.n_mirrored
    inputs = IntegerInputs(codes, told, frequencies_of(log_weights.exp()), unit)
    return IntegerModel(model.event_shape, model.levels, neighbours, inputs, layers, exponentials())


def frequencies_of(weights: Tensor) -> Tensor:
    """Probabilities as whole numbers that fill 65536, each at least 1.

    Example:
        >>> frequencies_of(torch.tensor([0.75, 0.25, 0.0])).tolist()
        [49151, 16384, 1]
    """
    found = (weights.double() * (TOTAL - len(weights))).floor().to(torch.int32) + 1
    found[found.argmax()] += TOTAL - found.sum(dtype=torch.int32)
    return found


def exponentials() -> Tensor:
    """The exponentials of 0, -1/32, -2/32, ..., in 32768ths, down to zero.

    Example:
        >>> exponentials()[[0, 32, -1]].tolist()
        [32768, 12055, 0]
    """
    size = math.ceil(UNIT * math.log(2 * ONE)) + 1
    return torch.tensor([round(ONE * math.exp(-i / UNIT)) for i in range(size)], dtype=torch.int32)


def _activations(model: LocalContext, images: Tensor, embeddings: Tensor) -> list[Tensor]:
    """The largest value of each hidden unit, whatever the component."""
    places = torch.arange(model.neighbourhood.size)
    parts = [
        model.hidden_values(x, places, embedding.expand(len(x), -1))
        for x in images.to(model.codes.dtype).split(8)
        for embedding in embeddings
    ]
    return [
        torch.stack([part[i].amax(0) for part in parts]).amax(0).double()
        for i in range(len(model.layers))
    ]


def _rounded_codes(codes: Tensor) -> tuple[Tensor, Tensor]:
    step = codes.abs().amax(0).clamp_min(1e-12) / MAX_WEIGHT
    return (codes / step).round().to(torch.int8), step


def _layer(
    weight: Tensor, bias: Tensor, rows: Tensor, shift: Tensor, bounds: tuple[int, int]
) -> IntegerLinear:
    whole = (weight * rows.unsqueeze(-1)).round().clamp(-MAX_WEIGHT, MAX_WEIGHT)
    half = torch.where(shift > 0, 2 ** (shift - 1), 0)  # floor then rounds to the nearest
    around = (bias * rows + half).round().clamp(-(2**30), 2**30)
    return IntegerLinear(
        whole.to(torch.int8), around.to(torch.int32), shift.to(torch.int8), *bounds
    )
