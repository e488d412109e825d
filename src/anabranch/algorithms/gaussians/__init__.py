"""Gaussian mixtures by expectation maximisation, and what chooses their size."""

from anabranch.algorithms.gaussians.additive import AdditiveMixture, additive_em
from anabranch.algorithms.gaussians.annihilation import (
    Annihilation,
    annihilate,
    component_cost,
    n_parameters,
)
from anabranch.algorithms.gaussians.em import (
    CovarianceModel,
    GaussianParameters,
    gaussian_e_step,
    gaussian_em,
    gaussian_em_path,
    gaussian_m_step,
    held_out_log_prob,
)
from anabranch.algorithms.gaussians.merging import merge_components
from anabranch.algorithms.gaussians.message_length import message_length, mml_weights
from anabranch.algorithms.gaussians.priors import GaussianPrior, weak_prior
from anabranch.algorithms.gaussians.starts import (
    GaussianStart,
    StartOptions,
    em_start,
    hard_start,
    is_small,
    kmeans_responsibilities,
    random_responsibilities,
)

__all__ = [
    "AdditiveMixture",
    "Annihilation",
    "CovarianceModel",
    "GaussianParameters",
    "GaussianPrior",
    "GaussianStart",
    "StartOptions",
    "additive_em",
    "annihilate",
    "component_cost",
    "em_start",
    "gaussian_e_step",
    "gaussian_em",
    "gaussian_em_path",
    "gaussian_m_step",
    "hard_start",
    "held_out_log_prob",
    "is_small",
    "kmeans_responsibilities",
    "merge_components",
    "message_length",
    "mml_weights",
    "n_parameters",
    "random_responsibilities",
    "weak_prior",
]
