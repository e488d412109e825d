"""Distributions: log_prob and sample, with the component axis."""

from anabranch.contracts.distribution import Distribution as Distribution
from anabranch.distributions.autoregressive import AutoregressiveModel as AutoregressiveModel
from anabranch.distributions.flow import Flow as Flow
from anabranch.distributions.heads import Bernoulli as Bernoulli
from anabranch.distributions.heads import GaussianMixtureHead as GaussianMixtureHead
from anabranch.distributions.heads import Head as Head
from anabranch.distributions.heads import LaplaceMixtureHead as LaplaceMixtureHead
from anabranch.distributions.hedged import Hedged as Hedged
from anabranch.distributions.latent_tree import LatentTree as LatentTree
from anabranch.distributions.latent_tree import TreePosterior as TreePosterior
from anabranch.distributions.levels import Categorical as Categorical
from anabranch.distributions.levels import DiscretizedLogistics as DiscretizedLogistics
from anabranch.distributions.levels import Tempered as Tempered
from anabranch.distributions.mixture import Mixture as Mixture
from anabranch.distributions.orderless import OrderlessModel as OrderlessModel
from anabranch.distributions.pixels import PixelModel as PixelModel
from anabranch.distributions.sphere import Kent as Kent
from anabranch.distributions.sphere import UniformSphere as UniformSphere
from anabranch.distributions.sphere import VonMises as VonMises
from anabranch.distributions.sphere import VonMisesFisher as VonMisesFisher
from anabranch.distributions.standard import DiagonalNormal as DiagonalNormal
from anabranch.distributions.standard import DiscretizedLogistic as DiscretizedLogistic
from anabranch.distributions.standard import Logistic as Logistic
from anabranch.distributions.standard import Normal as Normal
from anabranch.distributions.standard import Uniform as Uniform
from anabranch.distributions.tree_structure import TreeStructure as TreeStructure
