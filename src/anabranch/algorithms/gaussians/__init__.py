"""Gaussian mixtures by expectation maximisation, and what chooses their size."""

from anabranch.algorithms.gaussians.additive import AdditiveMixture as AdditiveMixture
from anabranch.algorithms.gaussians.additive import additive_em as additive_em
from anabranch.algorithms.gaussians.annihilation import Annihilation as Annihilation
from anabranch.algorithms.gaussians.annihilation import annihilate as annihilate
from anabranch.algorithms.gaussians.annihilation import component_cost as component_cost
from anabranch.algorithms.gaussians.annihilation import n_parameters as n_parameters
from anabranch.algorithms.gaussians.em import CovarianceModel as CovarianceModel
from anabranch.algorithms.gaussians.em import GaussianParameters as GaussianParameters
from anabranch.algorithms.gaussians.em import gaussian_e_step as gaussian_e_step
from anabranch.algorithms.gaussians.em import gaussian_em as gaussian_em
from anabranch.algorithms.gaussians.em import gaussian_em_path as gaussian_em_path
from anabranch.algorithms.gaussians.em import gaussian_m_step as gaussian_m_step
from anabranch.algorithms.gaussians.em import held_out_log_prob as held_out_log_prob
from anabranch.algorithms.gaussians.merging import merge_components as merge_components
from anabranch.algorithms.gaussians.message_length import message_length as message_length
from anabranch.algorithms.gaussians.message_length import mml_weights as mml_weights
from anabranch.algorithms.gaussians.priors import GaussianPrior as GaussianPrior
from anabranch.algorithms.gaussians.priors import weak_prior as weak_prior
from anabranch.algorithms.gaussians.starts import GaussianStart as GaussianStart
from anabranch.algorithms.gaussians.starts import StartOptions as StartOptions
from anabranch.algorithms.gaussians.starts import covariance_models as covariance_models
from anabranch.algorithms.gaussians.starts import em_start as em_start
from anabranch.algorithms.gaussians.starts import hard_start as hard_start
from anabranch.algorithms.gaussians.starts import is_small as is_small
from anabranch.algorithms.gaussians.starts import kmeans_responsibilities as kmeans_responsibilities
from anabranch.algorithms.gaussians.starts import random_responsibilities as random_responsibilities
