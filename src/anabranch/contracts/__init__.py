"""What every floor above speaks of: transforms, distributions, domains, losses, objectives."""

from anabranch.contracts.distribution import Distribution as Distribution
from anabranch.contracts.domain import Blocks as Blocks
from anabranch.contracts.domain import Circle as Circle
from anabranch.contracts.domain import Domain as Domain
from anabranch.contracts.domain import Integers as Integers
from anabranch.contracts.domain import Interval as Interval
from anabranch.contracts.domain import Product as Product
from anabranch.contracts.domain import Simplex as Simplex
from anabranch.contracts.domain import Sphere as Sphere
from anabranch.contracts.loss import Loss as Loss
from anabranch.contracts.marginals import Marginals as Marginals
from anabranch.contracts.objective import Objective as Objective
from anabranch.contracts.protocols import AutoregressiveNetwork as AutoregressiveNetwork
from anabranch.contracts.protocols import ClusterModel as ClusterModel
from anabranch.contracts.protocols import Conditioner as Conditioner
from anabranch.contracts.protocols import MakesConditioner as MakesConditioner
from anabranch.contracts.protocols import Marginal as Marginal
from anabranch.contracts.transform import Transform as Transform
