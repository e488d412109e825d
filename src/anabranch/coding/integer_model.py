"""A local-context model in whole numbers: the same frequencies on every machine."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anabranch.coding.integer_linear import EXACT, CarriedLinear, IntegerLinear
from anabranch.coding.rans import TOTAL
from anabranch.functional.neighbours import Neighbourhood
from anabranch.functional.pixel_logits import pixel_logits

SEEN = 128  # stands for a level that its image has shown; a power of two, which divides exactly
UNIT = 32  # logits are counted in this part of a nat
ONE = 1 << 15  # the exponential of zero
LOGITS = 1 << 14  # bound of logits, in units
INPUTS = 128  # bound of all inputs of the first layer


class IntegerModel:
    """Frequencies of the levels of each pixel, from those before it, without a rounded number.

    `anabranch.coding.freeze` makes one of a `LocalContext`. Its exponentials stand in a table that
    is part of it: no function of the machine's libraries decides what is decoded.

    Args:
        event_shape: of an image.
        levels: of a pixel.
        neighbours: how many are looked at, and how many mirrored ones.
        codes: (places, n_codes) int8, the numbers of each place.
        layers: from neighbours, codes and levels seen to the logits.
        table: (n,) int32, exponentials of 0, -1, -2, ... units, from 32768 down to 0.
        carrier: torch.float32 where the certificate allows it, or torch.float64 always.

    Raises:
        ValueError: for parts that do not go together, or sums that no float holds exactly.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        levels: int,
        neighbours: tuple[int, int],
        codes: Tensor,
        layers: list[IntegerLinear],
        table: Tensor,
        carrier: torch.dtype = torch.float32,
    ) -> None:
        self.neighbourhood = Neighbourhood(tuple(event_shape), *neighbours)
        self.event_shape, self.levels = tuple(event_shape), levels
        self.codes, self.layers, self.table = codes, layers, table
        self._check()
        self.carrier = carrier if max(self.certificates()) < EXACT[torch.float32] else torch.float64

    def _check(self) -> None:
        size, sizes = self.neighbourhood.size, [len(layer.weight) for layer in self.layers]
        inputs = [layer.weight.shape[1] for layer in self.layers]
        n_codes = self.codes.shape[-1]
        wanted = [self.neighbourhood.n_values + n_codes + self.levels, *sizes[:-1]]
        if not 2 <= self.levels <= 256:
            raise ValueError(f"levels must be from 2 to 256, got {self.levels}")
        if self.codes.dtype != torch.int8 or self.codes.shape != (size, n_codes):
            raise ValueError(f"codes must be int8, a row for each of the {size} places")
        window = sizes[-1] - self.levels - 1 if sizes else 0
        if inputs != wanted or window < 1 or window % 2 == 0:
            raise ValueError(f"layers must lead from {wanted[0]} inputs to logits and their window")
        table = self.table
        falls = table.dtype == torch.int32 and table.ndim == 1 and len(table) > 1
        falls = falls and bool((table.diff() <= 0).all())
        if not falls or int(table[0]) != ONE or int(table[-1]) != 0:
            raise ValueError(f"table must be int32 and fall from {ONE} to 0")

    @property
    def size(self) -> int:
        """Pixels of an image, channels counted."""
        return self.neighbourhood.size

    @property
    def middle(self) -> int:
        """Half of the levels, by which pixels are centred."""
        return max(self.levels // 2, 1)

    def certificates(self) -> list[int]:
        """For each layer what no partial sum exceeds.

        Raises:
            ValueError: where it is more than float64 holds exactly.
        """
        bounds = [INPUTS, *(max(-layer.lower, layer.upper) for layer in self.layers)]
        pairs = list(zip(self.layers, bounds, strict=False))
        for layer, bound in pairs:
            layer.carrier(bound)  # refuses what no float holds
        return [layer.certificate(bound) for layer, bound in pairs]

    def logits(self, inputs: Tensor, predicted: Tensor) -> Tensor:
        """Logits in units, (n, levels), whole numbers.

        Args:
            inputs: (n, n_inputs) centred neighbours, codes of the place, and 128 for each level
                that the image has shown, in the dtype of the carrier.
            predicted: (n,) levels, by the median edge.
        """
        outputs = inputs
        for layer in self._carried:
            outputs = layer(outputs)
        outputs[:, -1] /= SEEN  # the gain of levels seen, which stand there as 128
        return pixel_logits(outputs, predicted, inputs[:, -self.levels :])

    @cached_property
    def _carried(self) -> list[CarriedLinear]:
        return [layer.on(self.carrier) for layer in self.layers]

    def frequencies(self, logits: Tensor) -> Tensor:
        r"""Frequencies out of 65536 of the levels, each at least 1.

        .. math:: f_v = 1 + \big\lfloor 2^{-15} e_v \lfloor 2^{15} (65536 - n) / \textstyle\sum e
            \rfloor \big\rfloor

        and what is left goes to the likeliest level. No product reaches :math:`2^{31}`.

        Args:
            logits: (n, levels) in units.

        Returns:
            (n, levels) int32.
        """
        top, mode = logits.max(-1, keepdim=True)
        below = (top - logits).to(torch.int32).clamp_max_(len(self.table) - 1)
        found = torch.index_select(self.table, 0, below.flatten()).view_as(below)
        share = ((TOTAL - self.levels) * ONE) // found.sum(-1, keepdim=True, dtype=torch.int32)
        found.mul_(share).bitwise_right_shift_(15).add_(1)
        rest = TOTAL - found.sum(-1, keepdim=True, dtype=torch.int32)
        return found.scatter_add_(-1, mode, rest)

    @contextmanager
    def quick_products(self) -> Iterator[None]:
        """Let operands be rounded to bfloat16, where that was found to round none of them.

        Whole numbers up to 256 are bfloat16 numbers, and processors that multiply these add in
        float32. Whether this one does is tried, once.
        """
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium" if self._quick else "highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)

    @cached_property
    def _quick(self) -> bool:
        bounds = [INPUTS, *(layer.upper for layer in self.layers[:-1])]
        if self.carrier != torch.float32 or max(bounds) > 256:
            return False
        source, before = torch.Generator().manual_seed(0), torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium")
        try:
            return all(
                _same_in_float64(layer, bound, source)
                for layer, bound in zip(self.layers, bounds, strict=True)
            )
        finally:
            torch.set_float32_matmul_precision(before)

    # -- files -----------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All of it, as a tree of tensors and plain values."""
        return {
            "event_shape": list(self.event_shape),
            "levels": self.levels,
            "neighbours": [self.neighbourhood.n_neighbours, self.neighbourhood.n_mirrored],
            "codes": self.codes,
            "table": self.table,
            "layers": [
                {
                    "weight": layer.weight,
                    "bias": layer.bias,
                    "shift": layer.shift,
                    "bounds": [layer.lower, layer.upper],
                }
                for layer in self.layers
            ],
        }

    @classmethod
    def from_state(
        cls, state: Mapping[str, Any], carrier: torch.dtype = torch.float32
    ) -> "IntegerModel":
        """The model again.

        Raises:
            ValueError: for parts that do not go together.
        """
        layers = [
            IntegerLinear(part["weight"], part["bias"], part["shift"], *map(int, part["bounds"]))
            for part in state["layers"]
        ]
        shape = tuple(int(n) for n in state["event_shape"])
        near, mirrored = map(int, state["neighbours"])
        levels, neighbours = int(state["levels"]), (near, mirrored)
        return cls(shape, levels, neighbours, state["codes"], layers, state["table"], carrier)

    @cached_property
    def sha256(self) -> str:
        """What tells it from every other, of all numbers that decide a frequency."""
        state = self.state()
        plain = [state["event_shape"], state["levels"], state["neighbours"]]
        plain.append([layer["bounds"] for layer in state["layers"]])
        digest = hashlib.sha256(json.dumps(plain).encode())
        tensors = [state["codes"], state["table"]]
        for layer in state["layers"]:
            tensors += [layer["weight"], layer["bias"], layer["shift"]]
        for tensor in tensors:
            array = tensor.contiguous().numpy()
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()


def _same_in_float64(layer: IntegerLinear, bound: int, source: torch.Generator) -> bool:
    """Whether the largest and random inputs give in float32, as it is set, what float64 gives."""
    n = layer.weight.shape[1]
    drawn = torch.randint(-bound, bound + 1, (62, n), generator=source)
    signs = layer.weight[:1].sign().long() * bound
    x = torch.cat([drawn, signs, torch.full((1, n), bound)])
    return torch.equal(layer(x.float()).double(), layer(x.double()))
