"""Mixtures of flows."""

from anabranch.models.mixtures.flow_mixture import flow_mixture
from anabranch.models.mixtures.mixture_model import MixtureModel

__all__ = ["MixtureModel", "flow_mixture"]
