"""The scikit-learn face."""

from anabranch.estimators.deep_clustering import DeepClustering
from anabranch.estimators.deep_mixture import DeepMixture
from anabranch.estimators.files import load, save
from anabranch.estimators.flow_density import FlowDensity
from anabranch.estimators.flow_gmm import FlowGMM
from anabranch.estimators.flow_mixture import FlowMixture
from anabranch.estimators.gaussian_mixture import GaussianMixture
from anabranch.estimators.rad import RAD
from anabranch.estimators.selection import Selection, choose_n_components

__all__ = [
    "RAD",
    "DeepClustering",
    "DeepMixture",
    "FlowDensity",
    "FlowGMM",
    "FlowMixture",
    "GaussianMixture",
    "Selection",
    "choose_n_components",
    "load",
    "save",
]
