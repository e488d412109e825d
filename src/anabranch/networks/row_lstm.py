"""The Row LSTM, which goes down an image row by row."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from anabranch.functional.shapes import Shape
from anabranch.networks.causal_conv import CausalConv2d, colour_groups, uniform_weight
from anabranch.networks.pixel_network import PixelBlock, PixelSizes


class RowLSTM(PixelBlock):
    r"""A convolutional LSTM whose time is the row.

    .. math:: (o, f, i, g)_r = K^{ss} * h_{r-1} + K^{is} * x_r, \qquad
        c_r = \sigma(f) c_{r-1} + \sigma(i) \tanh(g), \quad h_r = \sigma(o) \tanh(c_r)

    :math:`K^{is}` is causal along the row, :math:`K^{ss}` sees both sides, for the row above is
    known: a pixel sees a triangle above it. The result, made as wide by 1 x 1, which starts at
    zero, is added to what came in.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), "Pixel recurrent neural networks",
    arXiv:1601.06759.

    Args:
        sizes: of the layers; the state has half as many maps.
        kernel_size: of both convolutions, an odd number.
        generator: source of the initial weights.

    Example:
        >>> block = RowLSTM(PixelSizes((4, 4), n_params=1, channels=8))
        >>> block(torch.zeros(5, 8, 4, 4)).shape
        torch.Size([5, 8, 4, 4])
    """

    def __init__(
        self, sizes: PixelSizes, kernel_size: int = 3, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        outer, n_colours = sizes.maps(), len(sizes.colours)
        width = max(sizes.channels // 2, n_colours)
        self.to_state = CausalConv2d(
            outer,
            colour_groups(width, n_colours, repeats=4),
            kernel_size,
            rows=0,
            generator=generator,
        )
        self.from_state = uniform_weight((4 * width, width, 1, kernel_size), generator=generator)
        self.widen = CausalConv2d(
            colour_groups(width, n_colours), outer, 1, gain=0.0, generator=generator
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, channels, H, W)."""
        steps = self.to_state(maps)
        hidden = cell = torch.zeros_like(steps[:, : self.width, :1])
        rows = []
        for step in steps.split(1, -2):
            hidden, cell = lstm_cell(step + self.told(hidden), cell, 1)
            rows.append(hidden)
        return maps + self.widen(torch.cat(rows, -2))

    @property
    def width(self) -> int:
        """How many maps the state has."""
        return self.from_state.shape[1]

    def told(self, hidden: Tensor) -> Tensor:
        """What the row above, (N, width, 1, W), says to the gates."""
        return conv2d(hidden, self.from_state, padding=(0, self.from_state.shape[-1] // 2))

    def walk(self, size: Shape) -> "RowWalk":
        """The same one pixel after the other."""
        return RowWalk(self, size)


class RowWalk:
    """A `RowLSTM` at one pixel after the other."""

    def __init__(self, block: RowLSTM, size: Shape) -> None:
        self.block = block
        self.to_state, self.widen = block.to_state.steps(*size), block.widen.steps(*size)
        self.hidden, self.cell, self.last_cell = (
            block.from_state.new_zeros(size[2], size[0], block.width) for _ in range(3)
        )
        self.told: Tensor | None = None

    def row(self, r: int) -> None:
        """Begin row r: what the row above says to the gates of all pixels."""
        above = self.block.told(self.hidden.permute(1, 2, 0).unsqueeze(-2))
        self.told = above[:, :, 0].permute(2, 0, 1).contiguous()
        self.cell, self.last_cell = self.last_cell, self.cell

    def pixel(self, r: int, c: int, x: Tensor) -> Tensor:
        """Maps (N, channels) of a pixel from those that come in."""
        assert self.told is not None
        gates = self.to_state.pixel(r, c, x) + self.told[c]
        hidden, self.cell[c] = lstm_cell(gates, self.last_cell[c], 1)
        self.hidden[c] = hidden
        return self.widen.pixel(r, c, hidden) + x


def lstm_cell(gates: Tensor, cell: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """State and cell of an LSTM from its gates o, f, i, g along an axis and the cell before.

    Example:
        >>> hidden, cell = lstm_cell(torch.zeros(1, 4), torch.ones(1, 1), 1)
        >>> cell
        tensor([[0.5000]])
    """
    output, forget, enter, content = gates.chunk(4, dim)
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(content)
    return torch.sigmoid(output) * torch.tanh(cell), cell
