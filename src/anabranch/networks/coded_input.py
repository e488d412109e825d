"""Rows of a table as a network sees them: categories as indicators, nothing where missing."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class CodedInput(nn.Module):
    """Numbers as they are, and codes of categories as indicators side by side.

    A missing number, NaN, is 0, the mean of a standardised column; a missing category has no
    indicator.

    Args:
        features: D, the columns of numbers.
        levels: how many categories each of the columns behind them has.

    Example:
        >>> CodedInput(1, [3])(torch.tensor([[0.5, 2.0], [torch.nan, torch.nan]]))
        tensor([[0.5000, 0.0000, 0.0000, 1.0000],
                [0.0000, 0.0000, 0.0000, 0.0000]])
    """

    def __init__(self, features: int, levels: Sequence[int]) -> None:
        super().__init__()
        self.features, self.levels = features, list(levels)

    @property
    def out_features(self) -> int:
        """How many numbers it gives."""
        return self.features + sum(self.levels)

    def forward(self, x: Tensor) -> Tensor:
        """Rows (..., D + C) as (..., out_features)."""
        numbers, codes = x[..., : self.features].nan_to_num(nan=0.0), x[..., self.features :]
        indicators = [
            (code[..., None] == torch.arange(size, device=x.device)).to(x.dtype)
            for code, size in zip(codes.unbind(-1), self.levels, strict=True)
        ]
        return torch.cat([numbers, *indicators], -1)


class AngleInput(nn.Module):
    """Angles as cosine and sine, and the numbers behind them as they are.

    Args:
        angles: how many numbers in front are angles, in radians.
        features: how many numbers there are in all.

    Example:
        >>> AngleInput(1, 2)(torch.tensor([[0.0, 5.0]]))
        tensor([[1., 0., 5.]])
    """

    def __init__(self, angles: int, features: int) -> None:
        super().__init__()
        self.angles, self.out_features = angles, features + angles

    def forward(self, x: Tensor) -> Tensor:
        """Rows (..., W) as (..., W + angles)."""
        angles = x[..., : self.angles]
        return torch.cat((angles.cos(), angles.sin(), x[..., self.angles :]), -1)
