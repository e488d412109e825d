"""What is minimised: pure functions of log-probabilities."""

from anabranch.objectives.consistency import (
    balance,
    consistency,
    pseudo_label_likelihood,
    shared_information,
)
from anabranch.objectives.elbo import elbo_enumerated
from anabranch.objectives.likelihood import Likelihood
from anabranch.objectives.loss import Loss
from anabranch.objectives.supervised import cross_entropy, distillation, joint_log_likelihood

__all__ = [
    "Likelihood",
    "Loss",
    "balance",
    "consistency",
    "cross_entropy",
    "distillation",
    "elbo_enumerated",
    "joint_log_likelihood",
    "pseudo_label_likelihood",
    "shared_information",
]
