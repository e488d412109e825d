"""Densities of other kinds: autoregressive models, and a flow behind its Gaussian start."""

from anabranch.models.densities.flow_density import flow_density
from anabranch.models.densities.made import made
from anabranch.models.densities.nade import nade
from anabranch.models.densities.rnade import rnade

__all__ = [
    "flow_density",
    "made",
    "nade",
    "rnade",
]
