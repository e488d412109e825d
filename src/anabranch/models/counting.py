"""How many numbers of a model are free, for information criteria."""

from math import prod

import torch
from torch import nn

from anabranch.distributions import Categories, Hedged
from anabranch.networks import Linear
from anabranch.transforms import LULinear, TriangularAffine


def free_parameters(module: nn.Module) -> int:
    """Numbers that were fitted to data: masked entries and upper triangles do not count.

    Parameters that training leaves at their start count as well: the start was fitted. Of frozen
    Gaussians those of their kind count: where all are spherical, diagonal or of one covariance,
    as in `sklearn.mixture.GaussianMixture`.

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
    if isinstance(module, Hedged):  # the start is the first map of the flow as well
        return free_parameters(module.anchor) if _repeats_anchor(module) else 0
    if isinstance(module, TriangularAffine) and not module.loc.requires_grad:
        return sum(p.numel() for p in module.parameters()) - _of_gaussians(module)
    if not isinstance(module, TriangularAffine | LULinear) or module.lower is None:
        return 0
    (features,) = module.event_shape
    triangles = 2 if isinstance(module, LULinear) else 1
    return prod(module.batch_shape) * triangles * features * (features + 1) // 2


def _of_gaussians(affine: TriangularAffine) -> int:
    """Means and covariances of the Gaussians that the map stands for, by what they share."""
    (features,) = affine.event_shape
    n = affine.loc.numel() // features
    slopes = (affine.log_scale_origin + affine.log_scale).reshape(n, features)
    lower = None if affine.lower is None else affine.lower.tril(-1).reshape(n, -1)
    if lower is None or not lower.any():
        round_ = bool((slopes == slopes[:, :1]).all())
        return n * features + (n if round_ else n * features)
    triangle = features * (features + 1) // 2
    tied = bool((slopes == slopes[:1]).all() and (lower == lower[:1]).all())
    return n * features + (triangle if tied else n * triangle)


def _repeats_anchor(hedged: Hedged) -> bool:
    """Whether a flow holds the numbers of the Gaussian that it is hedged with."""
    anchor = {key.rpartition(".")[2]: p for key, p in hedged.anchor.named_parameters()}
    affine = (part for part in hedged.density.modules() if isinstance(part, TriangularAffine))
    own = dict(first.named_parameters()) if (first := next(affine, None)) is not None else {}
    return own.keys() == anchor.keys() and all(torch.equal(own[k], anchor[k]) for k in own)
