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
from anabranch.contracts.marginals import Marginals
from anabranch.contracts.objective import Objective
from anabranch.contracts.protocols import (
    AutoregressiveNetwork,
    ClusterModel,
    Conditioner,
    MakesConditioner,
    Marginal,
)
from anabranch.contracts.transform import Transform

__all__ = [
    "AutoregressiveNetwork",
    "Circle",
    "ClusterModel",
    "Conditioner",
    "Distribution",
    "Domain",
    "Integers",
    "Interval",
    "Loss",
    "MakesConditioner",
    "Marginal",
    "Marginals",
    "Objective",
    "Product",
    "Simplex",
    "Sphere",
    "Transform",
]
