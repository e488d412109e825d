"""Linear layers in whole numbers, exact on every machine."""

from dataclasses import dataclass

import torch
from torch import Tensor

# Up to here floats hold every whole number, so that sums come out the same in any order.
EXACT = {torch.float32: 2**24, torch.float64: 2**53}
MAX_WEIGHT = 127
MAX_SHIFT = 24


@dataclass(frozen=True)
class IntegerLinear:
    r"""A layer whose weights, inputs and outputs are whole numbers.

    .. math:: y_j = \Big\lfloor 2^{-s_j} \big(\textstyle\sum_i w_{ji} x_i + b_j\big) \Big\rfloor

    and no less than ``lower`` nor more than ``upper``. Floats carry the numbers. As long as no
    partial sum can reach :math:`2^{24}` (:math:`2^{53}` in float64), every one of them is exact:
    any order of summation, number of threads, set of instructions and device gives the same.

    Args:
        weight: (out, in) int8.
        bias: (out,) int32.
        shift: (out,) int8, 0..24.
        lower, upper: bounds of the outputs.

    Raises:
        ValueError: for tensors of other shapes or dtypes, or shifts out of their range.

    Example:
        >>> layer = IntegerLinear(
        ...     torch.tensor([[3, -2]], dtype=torch.int8), torch.tensor([1], dtype=torch.int32),
        ...     torch.tensor([1], dtype=torch.int8), lower=0, upper=255,
        ... )
        >>> layer.certificate(input_bound=255), layer(torch.tensor([[5.0, 1.0]]))
        (1276, tensor([[7.]]))
    """

    weight: Tensor
    bias: Tensor
    shift: Tensor
    lower: int
    upper: int

    def __post_init__(self) -> None:
        kinds = (("weight", torch.int8, 2), ("bias", torch.int32, 1), ("shift", torch.int8, 1))
        for name, dtype, ndim in kinds:
            tensor: Tensor = getattr(self, name)
            if tensor.dtype != dtype or tensor.ndim != ndim or len(tensor) != len(self.weight):
                raise ValueError(
                    f"{name} must be {dtype} with {ndim} axes and a row an output, got "
                    f"{tensor.dtype} of shape {tuple(tensor.shape)}"
                )
        if len(self.shift) and not 0 <= int(self.shift.min()) <= int(self.shift.max()) <= MAX_SHIFT:
            raise ValueError(f"shift must be from 0 to {MAX_SHIFT}")
        if not self.lower < self.upper:
            raise ValueError(f"lower must be below upper, got {self.lower} and {self.upper}")

    def certificate(self, input_bound: int) -> int:
        r"""What no partial sum exceeds, :math:`\max_j \sum_i |w_{ji}| a + |b_j|`.

        Args:
            input_bound: a, the largest absolute input.
        """
        rows = self.weight.long().abs().sum(1) * input_bound + self.bias.long().abs()
        return int(rows.max())

    def carrier(self, input_bound: int) -> torch.dtype:
        """The smaller float that carries all sums exactly.

        Raises:
            ValueError: where none does.
        """
        largest = self.certificate(input_bound)
        for dtype, limit in EXACT.items():
            if largest < limit:
                return dtype
        raise ValueError(f"sums up to {largest} are beyond what float64 holds exactly")

    def on(self, carrier: torch.dtype) -> "CarriedLinear":
        """The layer with its numbers in floats."""
        return CarriedLinear(self, carrier)

    def __call__(self, x: Tensor) -> Tensor:
        """The outputs (n, out) of whole inputs (n, in), in the dtype of x, which carries them."""
        return self.on(x.dtype)(x)


class CarriedLinear:
    """An `IntegerLinear` whose numbers are floats already.

    Args:
        layer: the layer.
        carrier: torch.float32 or torch.float64.
    """

    def __init__(self, layer: IntegerLinear, carrier: torch.dtype) -> None:
        self._weight, self._bias = layer.weight.to(carrier).T.contiguous(), layer.bias.to(carrier)
        # products with powers of two are exact, too
        self._scale = torch.ldexp(torch.ones_like(self._bias), -layer.shift.int())
        self._bounds = layer.lower, layer.upper

    def __call__(self, x: Tensor) -> Tensor:
        """The outputs (n, out) of whole inputs (n, in)."""
        sums = torch.addmm(self._bias, x, self._weight)
        return sums.mul_(self._scale).floor_().clamp_(*self._bounds)
