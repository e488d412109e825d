"""Scalar maps: what happens to one number, given its parameters.

A scalar map is a pair of pure functions and a count of parameters. A structure (`Elementwise`,
`Coupling`, `Autoregressive`) decides where the parameters come from, and never which map it is.
"""

from anabranch.transforms.scalar.affine import Additive, Affine, GatedAffine, Scale
from anabranch.transforms.scalar.base import NumericScalarMap, ScalarMap
from anabranch.transforms.scalar.integer import IntegerShift
from anabranch.transforms.scalar.mixture_cdf import MixtureLogisticCDF
from anabranch.transforms.scalar.moebius import Moebius
from anabranch.transforms.scalar.monotone import DeepSigmoidal
from anabranch.transforms.scalar.prelu import PReLU
from anabranch.transforms.scalar.spline import RationalQuadratic

__all__ = [
    "Additive",
    "Affine",
    "DeepSigmoidal",
    "GatedAffine",
    "IntegerShift",
    "MixtureLogisticCDF",
    "Moebius",
    "NumericScalarMap",
    "PReLU",
    "RationalQuadratic",
    "ScalarMap",
    "Scale",
]
