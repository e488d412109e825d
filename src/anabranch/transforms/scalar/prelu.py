"""A slope of its own below zero."""

from dataclasses import dataclass

import torch
from torch import Tensor

from anabranch.functional import bounded
from anabranch.functional.numbers import check_positive
from anabranch.transforms.scalar.base import ScalarMap


@dataclass(frozen=True)
class PReLU(ScalarMap):
    r"""A slope :math:`\alpha = e^{b \tanh(r / b)} > 0` below zero, slope one above.

    The density has a jump at zero. The thesis leaves :math:`\alpha` unconstrained, which is not
    invertible where it becomes negative.

    Args:
        bound: the largest |log slope| b.

    Example:
        >>> PReLU().encode(torch.tensor([-1.0, 2.0]), torch.zeros(1, 2))
        (tensor([-1.,  2.]), tensor([0., 0.]))
    """

    bound: float = 3.0

    def __post_init__(self) -> None:
        check_positive(self, ("bound",))

    @property
    def n_params(self) -> int:
        """One: the raw log slope."""
        return 1

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Multiply what is negative by the slope."""
        log_slope = torch.where(x < 0, bounded(params[0], self.bound), 0.0)
        return x * log_slope.exp(), log_slope

    def decode(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Divide what is negative by the slope."""
        log_slope = torch.where(z < 0, -bounded(params[0], self.bound), 0.0)
        return z * log_slope.exp(), log_slope
