"""Distributions: log_prob and sample, with the component axis."""

from anabranch.contracts.distribution import Distribution
from anabranch.distributions.autoregressive import AutoregressiveModel
from anabranch.distributions.flow import Flow
from anabranch.distributions.heads import (
    Bernoulli,
    GaussianMixtureHead,
    Head,
    LaplaceMixtureHead,
)
from anabranch.distributions.hedged import Hedged
from anabranch.distributions.latent_tree import LatentTree, TreePosterior
from anabranch.distributions.mixture import Mixture
from anabranch.distributions.orderless import OrderlessModel
from anabranch.distributions.standard import (
    DiagonalNormal,
    DiscretizedLogistic,
    Logistic,
    Normal,
    Uniform,
)
from anabranch.distributions.tree_structure import TreeStructure

__all__ = [
    "AutoregressiveModel",
    "Bernoulli",
    "DiagonalNormal",
    "DiscretizedLogistic",
    "Distribution",
    "Flow",
    "GaussianMixtureHead",
    "Head",
    "Hedged",
    "LaplaceMixtureHead",
    "LatentTree",
    "Logistic",
    "Mixture",
    "Normal",
    "OrderlessModel",
    "TreePosterior",
    "TreeStructure",
    "Uniform",
]
