"""Maps between data x and latent z, each with its log-likelihood term."""

from anabranch.contracts.transform import Transform
from anabranch.transforms.autoregressive import Autoregressive
from anabranch.transforms.block_autoregressive import BlockAutoregressive
from anabranch.transforms.compose import Compose, Inverse
from anabranch.transforms.coupling import Coupling, two_sided_coupling
from anabranch.transforms.elementwise import Elementwise
from anabranch.transforms.fold import AbsoluteFold, Fold, TriFold, fold_codes
from anabranch.transforms.linear import LULinear, TriangularAffine
from anabranch.transforms.normalization import ActNorm, BatchNorm
from anabranch.transforms.permutation import Permutation, Reverse
from anabranch.transforms.planar import Planar
from anabranch.transforms.preprocessing import Logit, Standardize, UniformDequantization
from anabranch.transforms.radial import LocalExpansion, Radial
from anabranch.transforms.reshaping import Reshape, Squeeze
from anabranch.transforms.rotation import Rotation
from anabranch.transforms.scalar import (
    Additive,
    Affine,
    DeepSigmoidal,
    GatedAffine,
    MixtureLogisticCDF,
    NumericScalarMap,
    PReLU,
    RationalQuadratic,
    ScalarMap,
    Scale,
)
from anabranch.transforms.support import Support

__all__ = [
    "AbsoluteFold",
    "ActNorm",
    "Additive",
    "Affine",
    "Autoregressive",
    "BatchNorm",
    "BlockAutoregressive",
    "Compose",
    "Coupling",
    "DeepSigmoidal",
    "Elementwise",
    "Fold",
    "GatedAffine",
    "Inverse",
    "LULinear",
    "LocalExpansion",
    "Logit",
    "MixtureLogisticCDF",
    "NumericScalarMap",
    "PReLU",
    "Permutation",
    "Planar",
    "Radial",
    "RationalQuadratic",
    "Reshape",
    "Reverse",
    "Rotation",
    "ScalarMap",
    "Scale",
    "Squeeze",
    "Standardize",
    "Support",
    "Transform",
    "TriFold",
    "TriangularAffine",
    "UniformDequantization",
    "fold_codes",
    "two_sided_coupling",
]
