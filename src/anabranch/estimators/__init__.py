"""The scikit-learn face."""

from anabranch.estimators.files import load, save
from anabranch.estimators.flow_mixture import FlowMixture

__all__ = ["FlowMixture", "load", "save"]
