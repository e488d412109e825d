"""What every floor above speaks of: transforms, distributions, losses, objectives."""

from anabranch.contracts.distribution import Distribution
from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.contracts.transform import Transform

__all__ = [
    "Distribution",
    "Loss",
    "Objective",
    "Transform",
]
