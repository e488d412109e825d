"""Mixtures of flows."""

from anabranch.models.mixtures.flow_mixture import flow_mixture
from anabranch.models.mixtures.mixture_model import MixtureModel
from anabranch.models.mixtures.pruning import keep_components
from anabranch.models.mixtures.rad import rad

__all__ = [
    "MixtureModel",
    "flow_mixture",
    "keep_components",
    "rad",
]
