"""What every floor above speaks of: transforms, distributions, domains, losses, objectives."""

from anabranch.contracts.distribution import Distribution
from anabranch.contracts.domain import (
    Circle,
    Domain,
    Integers,
    Interval,
    Product,
    Simplex,
    Sphere,
)
from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.contracts.transform import Transform

__all__ = [
    "Circle",
    "Distribution",
    "Domain",
    "Integers",
    "Interval",
    "Loss",
    "Objective",
    "Product",
    "Simplex",
    "Sphere",
    "Transform",
]
