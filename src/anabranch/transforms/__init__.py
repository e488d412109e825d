"""Maps between data x and latent z, each with its log-likelihood term."""

from anabranch.transforms.autoregressive import Autoregressive
from anabranch.transforms.base import Transform
from anabranch.transforms.compose import Compose, Inverse
from anabranch.transforms.coupling import Coupling, two_sided_coupling
from anabranch.transforms.elementwise import Elementwise
from anabranch.transforms.fold import AbsoluteFold, Fold, TriFold, fold_codes
from anabranch.transforms.linear import LULinear, TriangularAffine
from anabranch.transforms.normalization import ActNorm, BatchNorm
from anabranch.transforms.permutation import Permutation, Reverse
from anabranch.transforms.preprocessing import Logit, Standardize, UniformDequantization
from anabranch.transforms.scalar import Additive, Affine, PReLU, ScalarMap

__all__ = [
    "AbsoluteFold",
    "ActNorm",
    "Additive",
    "Affine",
    "Autoregressive",
    "BatchNorm",
    "Compose",
    "Coupling",
    "Elementwise",
    "Fold",
    "Inverse",
    "LULinear",
    "Logit",
    "PReLU",
    "Permutation",
    "Reverse",
    "ScalarMap",
    "Standardize",
    "Transform",
    "TriFold",
    "TriangularAffine",
    "UniformDequantization",
    "fold_codes",
    "two_sided_coupling",
]
