"""One fit loop, schedules, initialisation and checkpoints."""

from anabranch.training.additive_em import AdditiveMixture, additive_em
from anabranch.training.additive_start import additive_starts
from anabranch.training.adversarial import Game, fit_adversarial
from anabranch.training.annihilation import message_length, mml_weights
from anabranch.training.fit import DivergedWarning, FitResult, fit
from anabranch.training.gaussian_annihilation import (
    Annihilation,
    annihilate,
    component_cost,
    n_parameters,
)
from anabranch.training.gaussian_em import (
    CovarianceModel,
    GaussianParameters,
    gaussian_e_step,
    gaussian_em,
    gaussian_em_path,
    gaussian_m_step,
    held_out_log_prob,
)
from anabranch.training.gaussian_merging import merge_components
from anabranch.training.gaussian_prior import GaussianPrior, weak_prior
from anabranch.training.graph import (
    gap_responsibilities,
    neighbor_graph,
    normalized_cut,
    spectral_responsibilities,
    spread_labels,
)
from anabranch.training.greedy_ascent import AscentResult, greedy_ascent
from anabranch.training.halving import Halving, RateHalving, first_std, std_annealing
from anabranch.training.initialization import (
    GaussianStart,
    StartOptions,
    em_start,
    hard_start,
    is_small,
    kmeans_responsibilities,
    random_responsibilities,
)
from anabranch.training.options import FitOptions
from anabranch.training.perturbations import (
    Adversarial,
    GaussianNoise,
    Perturbation,
    RandomAffine,
    make_perturbation,
    warp,
)
from anabranch.training.schedules import (
    ExponentialDecay,
    LateFloat32,
    RampUp,
    ReduceOnPlateau,
    Schedule,
    ScheduledBuffer,
)
from anabranch.training.snapshots import Snapshots
from anabranch.training.stepwise_em import StepwiseEM, tree_em
from anabranch.training.tree_axes import TurnedSearch, search_turned, turn_axes
from anabranch.training.tree_search import TreeSearch, search_tree, tree_bic
from anabranch.training.variational import (
    Annealing,
    CosineDecay,
    fit_variational,
    importance_diagnostics,
)

__all__ = [
    "AdditiveMixture",
    "Adversarial",
    "Annealing",
    "Annihilation",
    "AscentResult",
    "CosineDecay",
    "CovarianceModel",
    "DivergedWarning",
    "ExponentialDecay",
    "FitOptions",
    "FitResult",
    "Game",
    "GaussianNoise",
    "GaussianParameters",
    "GaussianPrior",
    "GaussianStart",
    "Halving",
    "LateFloat32",
    "Perturbation",
    "RampUp",
    "RandomAffine",
    "RateHalving",
    "ReduceOnPlateau",
    "Schedule",
    "ScheduledBuffer",
    "Snapshots",
    "StartOptions",
    "StepwiseEM",
    "TreeSearch",
    "TurnedSearch",
    "additive_em",
    "additive_starts",
    "annihilate",
    "component_cost",
    "em_start",
    "first_std",
    "fit",
    "fit_adversarial",
    "fit_variational",
    "gap_responsibilities",
    "gaussian_e_step",
    "gaussian_em",
    "gaussian_em_path",
    "gaussian_m_step",
    "greedy_ascent",
    "hard_start",
    "held_out_log_prob",
    "importance_diagnostics",
    "is_small",
    "kmeans_responsibilities",
    "make_perturbation",
    "merge_components",
    "message_length",
    "mml_weights",
    "n_parameters",
    "neighbor_graph",
    "normalized_cut",
    "random_responsibilities",
    "search_tree",
    "search_turned",
    "spectral_responsibilities",
    "spread_labels",
    "std_annealing",
    "tree_bic",
    "tree_em",
    "turn_axes",
    "warp",
    "weak_prior",
]
