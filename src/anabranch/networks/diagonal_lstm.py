"""The Diagonal BiLSTM, which goes over an image along its diagonals, from both sides."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from anabranch.functional.shapes import Shape
from anabranch.networks.causal_conv import CausalConv2d, colour_groups, uniform_weight
from anabranch.networks.pixel_network import PixelBlock, PixelSizes
from anabranch.networks.row_lstm import lstm_cell


class DiagonalLSTM(nn.Module):
    r"""An LSTM in which a pixel follows on its left neighbour and on the one above.

    .. math:: (o, f, i, g)_{rc} = K^{is} x_{rc} + K^{\leftarrow} h_{r,c-1}
        + K^{\uparrow} h_{r-1,c}

    The cell comes from the left. All pixels of one diagonal are computed at once, which is done by
    skewing the maps: row r is moved to the right by r.

    Args:
        sizes: of the layers; the state has half as many maps.
        generator: source of the initial weights.

    Shapes:
        maps: (N, channels, H, W), giving states (N, channels / 2, H, W).
    """

    def __init__(self, sizes: PixelSizes, generator: torch.Generator | None = None) -> None:
        super().__init__()
        n_colours = len(sizes.colours)
        self.width = width = max(sizes.channels // 2, n_colours)
        gates = colour_groups(width, n_colours, repeats=4)
        self.to_state = CausalConv2d(sizes.maps(), gates, 1, generator=generator)
        self.from_left = uniform_weight((4 * width, width), generator=generator)
        self.from_above = uniform_weight((4 * width, width), generator=generator)

    def forward(self, maps: Tensor) -> Tensor:
        """States (N, width, H, W) of all pixels."""
        steps = skewed(self.to_state(maps)).permute(3, 0, 2, 1)  # (W + H - 1, N, H, 4 width)
        inside = skewed(torch.ones_like(maps[:1, :1])).permute(3, 0, 2, 1)
        hidden = cell = torch.zeros_like(steps[0, ..., : self.width])
        states = []
        for step, there in zip(steps.unbind(0), inside.unbind(0), strict=True):
            above = pad(hidden, (0, 0, 1, -1))
            gates = step + hidden @ self.from_left.mT + above @ self.from_above.mT
            hidden, cell = lstm_cell(gates, cell, -1)
            hidden, cell = hidden * there, cell * there
            states.append(hidden)
        return unskewed(torch.stack(states, -1).permute(0, 2, 1, 3))


class DiagonalBiLSTM(PixelBlock):
    r"""Two diagonal LSTMs, from the left and from the right: each pixel sees all before it.

    .. math:: y_{rc} = x_{rc} + U (h^{\rightarrow}_{rc} + h^{\leftarrow}_{r-1,c})

    The one from the right comes from what is still unknown in its own row, so that its states are
    used one row below. U starts at zero.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), "Pixel recurrent neural networks",
    arXiv:1601.06759.

    Args:
        sizes: of the layers; each state has half as many maps.
        generator: source of the initial weights.

    Example:
        >>> block = DiagonalBiLSTM(PixelSizes((4, 4), n_params=1, channels=8))
        >>> block(torch.zeros(5, 8, 4, 4)).shape
        torch.Size([5, 8, 4, 4])
    """

    def __init__(self, sizes: PixelSizes, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.left = DiagonalLSTM(sizes, generator)
        self.right = DiagonalLSTM(sizes, generator)
        inner = colour_groups(self.left.width, len(sizes.colours))
        self.widen = CausalConv2d(inner, sizes.maps(), 1, gain=0.0, generator=generator)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, channels, H, W)."""
        above = self.right(maps.flip(-1)).flip(-1)
        return maps + self.widen(self.left(maps) + pad(above, (0, 0, 1, -1)))

    def walk(self, size: Shape) -> "DiagonalWalk":
        """The same one pixel after the other."""
        return DiagonalWalk(self, size)


class DiagonalWalk:
    """A `DiagonalBiLSTM` at one pixel after the other."""

    def __init__(self, block: DiagonalBiLSTM, size: Shape) -> None:
        self.left, self.right = RowOfStates(block.left, size), RowOfStates(block.right, size)
        self.widen = block.widen.steps(*size)
        self.maps: list[Tensor] = []  # of the last row
        self.n_columns = size[2]

    def row(self, r: int) -> None:
        """Begin row r: the row above is known, so that one can come from the right in it."""
        self.left.begin()
        if r:
            self.right.begin()
            for c in range(self.n_columns):
                self.right.step(c, self.maps[-1 - c])
        self.maps = []

    def pixel(self, r: int, c: int, x: Tensor) -> Tensor:
        """Maps (N, channels) of a pixel from those that come in."""
        self.maps[c:] = [x]
        states = self.left.step(c, x) + self.right.hidden[self.n_columns - 1 - c]
        return self.widen.pixel(r, c, states) + x


class RowOfStates:
    """The states of a `DiagonalLSTM` in one row, from the left to the right."""

    def __init__(self, layer: DiagonalLSTM, size: Shape) -> None:
        n, _, width = size
        self.to_state = layer.to_state.steps(*size)
        self.from_left, self.from_above = layer.from_left.detach().mT, layer.from_above.detach().mT
        self.hidden, self.cell = (
            layer.from_left.new_zeros(width, n, layer.width) for _ in range(2)
        )
        self.start = torch.zeros_like(self.hidden[0])
        self.told = self.hidden @ self.from_above

    def begin(self) -> None:
        """Begin the next row: what the row above says to the gates of all pixels."""
        self.told = self.hidden @ self.from_above

    def step(self, c: int, x: Tensor) -> Tensor:
        """The state of a pixel, (N, width), from its maps."""
        hidden, cell = (self.hidden[c - 1], self.cell[c - 1]) if c else (self.start, self.start)
        gates = torch.addmm(self.told[c] + self.to_state.pixel(0, 0, x), hidden, self.from_left)
        self.hidden[c], self.cell[c] = lstm_cell(gates, cell, 1)
        return self.hidden[c]


def skewed(maps: Tensor) -> Tensor:
    """Maps (N, F, H, W) with row r moved to the right by r, (N, F, H, W + H - 1), zeros around.

    Example:
        >>> skewed(torch.tensor([[[[1, 2], [3, 4]]]]))
        tensor([[[[1, 2, 0],
                  [0, 3, 4]]]])
    """
    height, width = maps.shape[-2:]
    flat = pad(maps, (0, height)).flatten(-2)[..., : height * (height + width - 1)]
    return flat.unflatten(-1, (height, height + width - 1))


def unskewed(maps: Tensor) -> Tensor:
    """Undo `skewed`.

    Example:
        >>> maps = torch.arange(12).reshape(1, 2, 2, 3)
        >>> torch.equal(unskewed(skewed(maps)), maps)
        True
    """
    height, wide = maps.shape[-2:]
    flat = pad(maps.flatten(-2), (0, height))
    return flat.unflatten(-1, (height, wide + 1))[..., : wide + 1 - height]
