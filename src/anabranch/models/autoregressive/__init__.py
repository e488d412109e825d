"""Autoregressive flows."""

from anabranch.models.autoregressive.bnaf import bnaf
from anabranch.models.autoregressive.iaf import iaf
from anabranch.models.autoregressive.made import made
from anabranch.models.autoregressive.maf import maf
from anabranch.models.autoregressive.nade import nade
from anabranch.models.autoregressive.naf import naf
from anabranch.models.autoregressive.rnade import rnade

__all__ = ["bnaf", "iaf", "made", "maf", "nade", "naf", "rnade"]
