"""A local-context model in whole numbers: the same frequencies on every machine."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

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
MAX_COMPONENTS = 1024


class IntegerInputs(NamedTuple):
    """What the first layer is told beside levels of pixels, in whole numbers.

    Attributes:
        codes: (places, n_codes) int8, the numbers of each place.
        embeddings: (K, n) int8, the numbers of each component of a mixture.
        weights: (K,) int32, frequencies of the components out of 65536, each at least 1.
        unit: what one level is multiplied by, so that pixels of few levels are no smaller than the
            rest, whose weights would be rounded away.
    """

    codes: Tensor
    embeddings: Tensor = torch.zeros(1, 0, dtype=torch.int8)
    weights: Tensor = torch.tensor([TOTAL], dtype=torch.int32)
    unit: int = 1

    @property
    def size(self) -> int:
        """How many numbers they are."""
        return self.codes.shape[1] + self.embeddings.shape[1]

    def check(self, places: int, middle: int) -> None:
        """Refuse what cannot be.

        Args:
            places: of an image.
            middle: half of the levels.

        Raises:
            ValueError: for tensors of other shapes or dtypes, weights that do not fill 65536, or
                pixels beyond the bound of inputs.
        """
        if self.codes.dtype != torch.int8 or self.codes.ndim != 2 or len(self.codes) != places:
            raise ValueError(f"codes must be int8, a row for each of the {places} places")
        if self.embeddings.dtype != torch.int8 or self.embeddings.ndim != 2:
            raise ValueError("embeddings must be int8, a row for each of the components")
        starts_of(self.weights)
        if len(self.embeddings) != len(self.weights):
            raise ValueError("components must have an embedding and a weight each")
        if not 1 <= self.unit * middle <= INPUTS:
            raise ValueError(f"unit must bring {middle} levels to {INPUTS} at most")


def starts_of(weights: Tensor) -> Tensor:
    """Where the intervals of components begin, (K,) int32.

    Args:
        weights: (K,) int32, their frequencies.

    Raises:
        ValueError: for weights that are not positive, or do not fill 65536.

    Example:
        >>> starts_of(torch.tensor([65000, 500, 36], dtype=torch.int32)).tolist()
        [0, 65000, 65500]
    """
    found = weights.dtype == torch.int32 and weights.ndim == 1
    found = found and 0 < len(weights) <= MAX_COMPONENTS
    whole = weights.long()  # of which no sum overflows
    if not (found and bool((whole >= 1).all()) and int(whole.sum()) == TOTAL):
        raise ValueError(f"components must have int32 weights from 1 on that fill {TOTAL}")
    return weights.cumsum(0, dtype=torch.int32) - weights


class IntegerModel:
    """Frequencies of the levels of each pixel, from those before it, without a rounded number.

    `anabranch.coding.freeze` makes one of a `LocalContext`, or of a mixture of what one says when
    it is told K contexts. Its exponentials stand in a table that is part of it: no function of the
    machine's libraries decides what is decoded.

    Args:
        event_shape: of an image.
        levels: of a pixel.
        neighbours: how many are looked at, and how many mirrored ones.
        inputs: what the first layer is told beside levels.
        layers: from neighbours, inputs and levels seen to the logits.
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
        inputs: IntegerInputs,
        layers: list[IntegerLinear],
        table: Tensor,
        carrier: torch.dtype = torch.float32,
    ) -> None:
        self.neighbourhood = Neighbourhood(tuple(event_shape), *neighbours)
        self.event_shape, self.levels = tuple(event_shape), levels
        self.inputs, self.layers, self.table = inputs, layers, table
        self._check()
        self.carrier = carrier if max(self.certificates()) < EXACT[torch.float32] else torch.float64

    def _check(self) -> None:
        size, sizes = self.neighbourhood.size, [len(layer.weight) for layer in self.layers]
        inputs = [layer.weight.shape[1] for layer in self.layers]
        wanted = [self.neighbourhood.n_values + self.inputs.size + self.levels, *sizes[:-1]]
        if not 2 <= self.levels <= 256:
            raise ValueError(f"levels must be from 2 to 256, got {self.levels}")
        self.inputs.check(size, self.middle)
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
    def n_components(self) -> int:
        """Components of a mixture, 1 where there is none."""
        return len(self.inputs.weights)

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
            inputs: (n, n_inputs) centred neighbours, codes of the place, the embedding of the
                component, and 128 for each level that the image has shown, in the dtype of the
                carrier.
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
        given = self.inputs
        several = {"embeddings": given.embeddings, "weights": given.weights}
        # what files of before have not
        further = {"components": several} if self.n_components > 1 else {}
        further |= {"unit": given.unit} if given.unit > 1 else {}
        return further | {
            "event_shape": list(self.event_shape),
            "levels": self.levels,
            "neighbours": [self.neighbourhood.n_neighbours, self.neighbourhood.n_mirrored],
            "codes": given.codes,
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
        several = dict(state.get("components", {}))
        inputs = IntegerInputs(state["codes"], **several, unit=int(state.get("unit", 1)))
        levels, neighbours = int(state["levels"]), (near, mirrored)
        return cls(shape, levels, neighbours, inputs, layers, state["table"], carrier)

    @cached_property
    def sha256(self) -> str:
        """What tells it from every other, of all numbers that decide a frequency."""
        state = self.state()
        plain = [state["event_shape"], state["levels"], state["neighbours"]]
        plain.append([layer["bounds"] for layer in state["layers"]])
        plain += [state["unit"]] if "unit" in state else []
        digest = hashlib.sha256(json.dumps(plain).encode())
        tensors = [state["codes"], state["table"]]
        for layer in state["layers"]:
            tensors += [layer["weight"], layer["bias"], layer["shift"]]
        if self.n_components > 1:
            tensors += [self.inputs.embeddings, self.inputs.weights]
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
