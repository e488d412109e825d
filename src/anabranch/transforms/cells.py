"""Whole numbers spread over their cells, column by column."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from anabranch.contracts.domain import REAL, Domain, Integers, Product
from anabranch.contracts.transform import Transform
from anabranch.transforms.preprocessing import hashed_uniform

# Share of a cell at either end that is left out: where u rounded up to the next cell, decode would
# not give x back.
MARGIN = 1e-3


class Cells(Transform):
    r"""Spread rounded columns over the cells that they were rounded to; leave the others alone.

    .. math:: z = x + w\,u,\quad u \sim U[0, 1)

    for a column of cells :math:`[x, x + w)`. The term is zero: the density of a model over z,
    averaged over u, is a lower bound of the log-probability of a cell over its width, that is, of
    the probability itself for whole numbers, w = 1. ``decode`` rounds down to the grid.

    As in `UniformDequantization`, u is random while training, and in evaluation a hash of the row,
    the same at every call. NaN stays what it is.

    Args:
        widths: w of each column, 0 for a column that is left alone; (D,).
        codomain: where the columns live once they are spread.

    Raises:
        ValueError: for no column, or a negative or infinite width.

    Source: Theis, van den Oord, Bethge (2015), arXiv:1511.01844, section 3.1.

    Example:
        >>> cells = Cells([1.0, 0.0]).eval()
        >>> z, term = cells.encode(torch.tensor([[3.0, 0.5]]))
        >>> bool(3 <= z[0, 0] < 4), cells.decode(z)[0]
        (True, tensor([[3.0000, 0.5000]]))
    """

    exact = False
    stochastic = True
    widths: Tensor

    def __init__(self, widths: Sequence[float], *, codomain: Domain = REAL) -> None:
        values = torch.tensor([float(width) for width in widths])
        if not len(values) or not bool(((values >= 0) & values.isfinite()).all()):
            raise ValueError(f"widths must be numbers from 0, one for each column, got {widths}")
        super().__init__((len(values),))
        self.codomain = codomain
        parts = codomain.parts if isinstance(codomain, Product) else (codomain,) * len(values)
        spread = zip(parts, values.tolist(), strict=True)
        self.domain = Product(tuple(Integers() if width == 1 else part for part, width in spread))
        self.register_buffer("widths", values)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        widths = self.widths.to(x)
        if self.training:
            u = torch.rand(x.shape, dtype=x.dtype, device=x.device, generator=generator)
        else:
            cell = torch.where(widths > 0, widths, torch.inf)
            u = hashed_uniform((x / cell).round().nan_to_num(nan=-1.0))
        u = u.clamp(MARGIN, 1 - MARGIN)
        return x + widths * u, x.new_zeros(x.shape[:-1])

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        widths = self.widths.to(z)
        cell = torch.where(widths > 0, widths, 1.0)
        return torch.where(widths > 0, (z / cell).floor() * cell, z), z.new_zeros(z.shape[:-1])
