"""What is minimised: pure functions of log-probabilities."""

from anabranch.contracts.loss import Loss
from anabranch.objectives.adversarial import (
    between,
    nonsaturating_critic,
    nonsaturating_generator,
    slope_penalty,
    wasserstein_critic,
    wasserstein_generator,
)
from anabranch.objectives.consistency import (
    balance,
    consistency,
    pseudo_label_likelihood,
    shared_information,
)
from anabranch.objectives.elbo import elbo_enumerated
from anabranch.objectives.importance import iwae, nvil, vimco
from anabranch.objectives.latent_mixture import LatentMixtureBound
from anabranch.objectives.likelihood import Likelihood
from anabranch.objectives.mixture_bounds import (
    Enumerated,
    Gumbel,
    MixtureBound,
    Nvil,
    Vimco,
    make_bound,
)
from anabranch.objectives.mixture_objective import MixtureObjective, mixture_diagnostics
from anabranch.objectives.perturbations import (
    Adversarial,
    GaussianNoise,
    Perturbation,
    RandomAffine,
    make_perturbation,
    warp,
)
from anabranch.objectives.posterior_penalty import PosteriorPenalty
from anabranch.objectives.reconstruction import Reconstruction
from anabranch.objectives.reverse_kl import ReverseKL, importance_diagnostics
from anabranch.objectives.self_training import self_training, sharpened_targets, student_log_q
from anabranch.objectives.supervised import cross_entropy, distillation, joint_log_likelihood
from anabranch.objectives.variational_bound import VariationalBound

__all__ = [
    "Adversarial",
    "Enumerated",
    "GaussianNoise",
    "Gumbel",
    "LatentMixtureBound",
    "Likelihood",
    "Loss",
    "MixtureBound",
    "MixtureObjective",
    "Nvil",
    "Perturbation",
    "PosteriorPenalty",
    "RandomAffine",
    "Reconstruction",
    "ReverseKL",
    "VariationalBound",
    "Vimco",
    "balance",
    "between",
    "consistency",
    "cross_entropy",
    "distillation",
    "elbo_enumerated",
    "importance_diagnostics",
    "iwae",
    "joint_log_likelihood",
    "make_bound",
    "make_perturbation",
    "mixture_diagnostics",
    "nonsaturating_critic",
    "nonsaturating_generator",
    "nvil",
    "pseudo_label_likelihood",
    "self_training",
    "shared_information",
    "sharpened_targets",
    "slope_penalty",
    "student_log_q",
    "vimco",
    "warp",
    "wasserstein_critic",
    "wasserstein_generator",
]
