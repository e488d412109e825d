"""Distributions: log_prob and sample, with the component axis."""

from anabranch.distributions.base import Distribution
from anabranch.distributions.flow import Flow
from anabranch.distributions.mixture import Mixture
from anabranch.distributions.standard import Logistic, Normal

__all__ = ["Distribution", "Flow", "Logistic", "Mixture", "Normal"]
