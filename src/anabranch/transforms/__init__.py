"""Maps between data x and latent z, each with its log-likelihood term."""

from anabranch.contracts.transform import Transform
from anabranch.transforms.augmentation import (
    Augment,
    Pad,
    VAELayer,
    VariationalDequantization,
)
from anabranch.transforms.autoregressive import Autoregressive
from anabranch.transforms.block_autoregressive import BlockAutoregressive
from anabranch.transforms.compose import Compose, Inverse
from anabranch.transforms.convolution import InvertibleConv
from anabranch.transforms.coupling import Coupling, two_sided_coupling
from anabranch.transforms.elementwise import Elementwise
from anabranch.transforms.factor_out import FactorOut
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
    IntegerShift,
    MixtureLogisticCDF,
    Moebius,
    NumericScalarMap,
    PReLU,
    RationalQuadratic,
    ScalarMap,
    Scale,
)
from anabranch.transforms.splits import Channels, Checkerboard, EveryOther, Half, Mask, Split
from anabranch.transforms.structured import StructuredAffine
from anabranch.transforms.support import Support
from anabranch.transforms.wavelet import Wavelet

__all__ = [
    "AbsoluteFold",
    "ActNorm",
    "Additive",
    "Affine",
    "Augment",
    "Autoregressive",
    "BatchNorm",
    "BlockAutoregressive",
    "Channels",
    "Checkerboard",
    "Compose",
    "Coupling",
    "DeepSigmoidal",
    "Elementwise",
    "EveryOther",
    "FactorOut",
    "Fold",
    "GatedAffine",
    "Half",
    "IntegerShift",
    "Inverse",
    "InvertibleConv",
    "LULinear",
    "LocalExpansion",
    "Logit",
    "Mask",
    "MixtureLogisticCDF",
    "Moebius",
    "NumericScalarMap",
    "PReLU",
    "Pad",
    "Permutation",
    "Planar",
    "Radial",
    "RationalQuadratic",
    "Reshape",
    "Reverse",
    "Rotation",
    "ScalarMap",
    "Scale",
    "Split",
    "Squeeze",
    "Standardize",
    "StructuredAffine",
    "Support",
    "Transform",
    "TriFold",
    "TriangularAffine",
    "UniformDequantization",
    "VAELayer",
    "VariationalDequantization",
    "Wavelet",
    "fold_codes",
    "two_sided_coupling",
]
