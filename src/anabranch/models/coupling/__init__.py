"""Coupling flows."""

from anabranch.models.coupling.conv_realnvp import conv_realnvp
from anabranch.models.coupling.nice import nice
from anabranch.models.coupling.nsf import nsf
from anabranch.models.coupling.realnvp import realnvp

__all__ = ["conv_realnvp", "nice", "nsf", "realnvp"]
