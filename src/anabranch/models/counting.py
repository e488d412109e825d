"""How many numbers of a model are free, for information criteria."""

from math import prod

from torch import nn

from anabranch.distributions import Categories
from anabranch.networks import Linear
from anabranch.transforms import LULinear, TriangularAffine


def free_parameters(module: nn.Module) -> int:
    """Numbers that were fitted to data: masked entries and upper triangles do not count.

    Parameters that training leaves at their start count as well: the start was fitted.

    Example:
        >>> free_parameters(TriangularAffine(3))  # of a Gaussian: 3 means, 6 covariances
        9
    """
    stored = sum(p.numel() for p in module.parameters())
    return stored - sum(_unused(part) for part in module.modules())


def _unused(module: nn.Module) -> int:
    """Entries of a module's own parameters that are never read."""
    if isinstance(module, Linear) and module.mask is not None:
        return prod(module.batch_shape) * int((module.mask == 0).sum())
    if isinstance(module, Categories):  # of each column all probabilities but one
        columns, most = module.absent.shape
        free = sum(module.levels) - columns
        return prod(module.batch_shape) * (columns * most - free)
    if not isinstance(module, TriangularAffine | LULinear) or module.lower is None:
        return 0
    (features,) = module.event_shape
    triangles = 2 if isinstance(module, LULinear) else 1
    return prod(module.batch_shape) * triangles * features * (features + 1) // 2
