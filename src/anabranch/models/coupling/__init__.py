"""Coupling flows."""

from anabranch.models.coupling.conv_realnvp import conv_realnvp
from anabranch.models.coupling.realnvp import realnvp

__all__ = ["conv_realnvp", "realnvp"]
