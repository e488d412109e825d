"""Mixtures of flows."""

from anabranch.models.mixtures.flow_mixture import MixtureModel, flow_mixture
from anabranch.models.mixtures.pruning import keep_components
from anabranch.models.mixtures.rad import rad

__all__ = [
    "MixtureModel",
    "flow_mixture",
    "keep_components",
    "rad",
]
