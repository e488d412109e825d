"""Causal neighbours of the places of an image, in the order in which it is read."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

MAX_SIDE = 4096
MAX_NEIGHBOURS = 1024


@dataclass(frozen=True)
class Neighbourhood:
    r"""For each place the nearest ones that are read before it: rows first, then columns, channels.

    Args:
        event_shape: (height, width) or (height, width, channels) of an image.
        n_neighbours: how many, nearest first; the other channels of a pixel are as near as it.
        n_mirrored: how many more around the place that mirrors it in the vertical axis of the
            image, nearest first; those that are not read yet are zeros.

    Raises:
        ValueError: for another shape, or fewer than one neighbour.

    Example:
        >>> Neighbourhood((2, 2), 2).index.tolist()  # left and above, in an image with a margin
        [[4, 1], [5, 2], [8, 5], [9, 6]]
    """

    event_shape: tuple[int, ...]
    n_neighbours: int
    n_mirrored: int = 0

    def __post_init__(self) -> None:
        shape = self.event_shape
        if len(shape) not in (2, 3) or not all(1 <= n <= MAX_SIDE for n in shape):
            raise ValueError(
                f"event_shape must be (height, width) or (height, width, channels), got {shape}"
            )
        if not 1 <= self.n_neighbours <= MAX_NEIGHBOURS:
            raise ValueError(
                f"n_neighbours must be from 1 to {MAX_NEIGHBOURS}, got {self.n_neighbours}"
            )
        if not 0 <= self.n_mirrored <= MAX_NEIGHBOURS:
            raise ValueError(
                f"n_mirrored must be from 0 to {MAX_NEIGHBOURS}, got {self.n_mirrored}"
            )

    @property
    def size(self) -> int:
        """Places of an image."""
        return math.prod(self.event_shape)

    @cached_property
    def offsets(self) -> list[tuple[int, int, int]]:
        """Steps down, to the right and to another channel, nearest first.

        The channel is that of the neighbour where the step is to another pixel, else it is a step
        back.
        """
        channels = self.event_shape[2] if len(self.event_shape) == 3 else 1
        reach = 1 + math.isqrt(1 + 2 * self.n_neighbours // channels)
        found = [
            (dy * dy + dx * dx, -dy, -abs(dx), dy, dx, channel)
            for dy in range(-reach, 1)
            for dx in range(-reach, reach + 1)
            for channel in range(channels)
            if (dy, dx) < (0, 0)
        ]
        here = [(0, 0, 0, 0, 0, -step) for step in range(1, channels)]
        nearest = sorted(here + found)[: self.n_neighbours]
        return [(dy, dx, channel) for *_, dy, dx, channel in nearest]

    @cached_property
    def margin(self) -> tuple[int, int]:
        """Rows above and columns at each side that neighbours reach."""
        return (
            max(1, *(-dy for dy, _, _ in self.offsets)),  # its corner stands for what is missing
            max(1, *(abs(dx) for _, dx, _ in self.offsets)),
        )

    @property
    def n_values(self) -> int:
        """How many values of an image are looked at from each place."""
        return self.n_neighbours + self.n_mirrored

    @cached_property
    def index(self) -> Tensor:
        """(places, n_values) where the neighbours stand in what `padded` gives."""
        row, column, own = self._places()
        dy, dx, channel = torch.tensor(self.offsets).unbind(-1)
        other = torch.where((dy == 0) & (dx == 0), own + channel, channel)
        index = self._positions(row + dy, column + dx, other)
        # before the first channel there is none: the corner of the margin stands for it
        near = torch.where(other < 0, 0, index).reshape(self.size, -1)
        return torch.cat([near, self._mirrored()], -1)

    def _mirrored(self) -> Tensor:
        """(places, n_mirrored) the same of those around the mirrored place."""
        height, width = self.event_shape[:2]
        row, column, own = self._places()
        reach = 1 + math.isqrt(self.n_mirrored)
        steps = [(dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
        steps.sort(key=lambda step: (step[0] ** 2 + step[1] ** 2, step))
        dy, dx = torch.tensor(steps[: self.n_mirrored], dtype=torch.long).view(-1, 2).unbind(-1)
        other_row, other = row + dy, width - 1 - column + dx
        inside = (other_row >= 0) & (other_row < height) & (other >= 0) & (other < width)
        read = (other_row < row) | ((other_row == row) & (other < column))
        index = self._positions(other_row, other, own)
        return torch.where(inside & read, index, 0).reshape(self.size, -1)

    def _places(self) -> tuple[Tensor, Tensor, Tensor]:
        """Row, column and channel of all places, ready to be broadcast with steps."""
        height, width, *rest = self.event_shape
        axes = [torch.arange(n) for n in (height, width, rest[0] if rest else 1)]
        row, column, channel = torch.meshgrid(*axes, indexing="ij")
        return row.unsqueeze(-1), column.unsqueeze(-1), channel.unsqueeze(-1)

    def _positions(self, row: Tensor, column: Tensor, channel: Tensor) -> Tensor:
        (above, beside), (_, width, *rest) = self.margin, self.event_shape
        pixel = (row + above) * (width + 2 * beside) + column + beside
        return pixel * (rest[0] if rest else 1) + channel

    @cached_property
    def nearest(self) -> Tensor:
        """(3, places) where those to the left, above, and above that stand, of the same channel."""
        _, width, *rest = self.event_shape
        channels = rest[0] if rest else 1
        row = (width + 2 * self.margin[1]) * channels
        return self.centres - torch.tensor([channels, row, row + channels]).unsqueeze(-1)

    def padded(self, x: Tensor) -> Tensor:
        """Images with a margin of zeros around, as rows.

        Args:
            x: (n, places).
        """
        height, width, *rest = self.event_shape
        above, beside = self.margin
        images = x.reshape(x.shape[0], height, width, *rest)
        sides = (0, 0) * len(rest) + (beside, beside, above, 0)
        return torch.nn.functional.pad(images, sides).flatten(1)

    @cached_property
    def centres(self) -> Tensor:
        """(places,) where the places themselves stand in what `padded` gives."""
        places = torch.arange(self.size).unsqueeze(0) + 1
        return self.padded(places)[0].nonzero()[:, 0]
