"""A toy video whose future branches: a block on a torus that steps left or right."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from anabranch.problems.base import RandomState

Bits = NDArray[np.int64]


@dataclass(frozen=True)
class BranchingVideo:
    r"""Frames of bits, on which a square block steps one pixel left or right, with equal chances.

    It starts anywhere, and leaves on one side to come back on the other. So a frame alone has
    :math:`\log s^2` nats, and given the one before :math:`\log 2`: the past is worth the rest.

    Args:
        size: s, side of the frames, at least 3.
        block: side of the block, less than s.

    Raises:
        ValueError: for other sizes.

    Example:
        >>> problem = BranchingVideo()
        >>> problem.sample(5, 4, random_state=0).shape
        (5, 4, 8, 8)
        >>> round(problem.entropy_alone, 3), round(problem.entropy_given_past, 3)
        (4.159, 0.693)
    """

    size: int = 8
    block: int = 2

    def __post_init__(self) -> None:
        if self.size < 3 or not 0 < self.block < self.size:
            raise ValueError(f"a block of {self.block} does not fit on frames of {self.size}")

    @property
    def entropy_alone(self) -> float:
        """Nats of a frame of which nothing is known."""
        return float(2 * np.log(self.size))

    @property
    def entropy_given_past(self) -> float:
        """Nats of a frame, given those before."""
        return float(np.log(2))

    def frame(self, row: ArrayLike, column: ArrayLike) -> Bits:
        """Frames with the block's upper left corner there, (..., s, s)."""
        axes = np.arange(self.size)
        inside = [
            (axes - np.asarray(place)[..., None]) % self.size < self.block
            for place in (row, column)
        ]
        return (inside[0][..., :, None] & inside[1][..., None, :]).astype(np.int64)

    def sample(self, n: int, length: int, random_state: RandomState = None) -> Bits:
        """Draw n videos, (n, length, s, s)."""
        random = check_random_state(random_state)
        row, column = random.randint(self.size, size=(2, n, 1))
        steps = 2 * random.randint(2, size=(n, length)) - 1
        steps[:, :1] = 0
        return self.frame(np.broadcast_to(row, (n, length)), column + steps.cumsum(1))

    def places(self, frames: ArrayLike) -> Bits:
        """Row and column of the block on frames (..., s, s), (..., 2); -1 where there is none."""
        seen = np.asarray(frames)
        rows, columns = np.divmod(np.arange(self.size**2), self.size)
        known = self.frame(rows, columns).reshape(len(rows), -1)
        flat = seen.reshape(*seen.shape[:-2], -1)
        same = (flat[..., None, :] == known).all(-1)
        found = np.stack([rows, columns], -1)[same.argmax(-1)]
        return np.where(same.any(-1)[..., None], found, -1)

    def steps(self, before: ArrayLike, after: ArrayLike) -> Bits:
        """What the block did between frames (..., s, s): -1 or 1, and 0 for what it cannot do."""
        old, new = self.places(before), self.places(after)
        moved = (new[..., 1] - old[..., 1]) % self.size
        step = np.where(moved == 1, 1, np.where(moved == self.size - 1, -1, 0))
        known = (old[..., 0] >= 0) & (new[..., 0] == old[..., 0])
        return np.where(known, step, 0)
