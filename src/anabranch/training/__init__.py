"""One fit loop, schedules, initialisation and checkpoints."""

from anabranch.training.fit import DivergedWarning, FitResult, fit
from anabranch.training.gaussian_em import (
    CovarianceModel,
    GaussianParameters,
    gaussian_em,
    gaussian_m_step,
    held_out_log_prob,
)
from anabranch.training.initialization import (
    GaussianStart,
    StartOptions,
    em_start,
    hard_start,
    is_small,
    kmeans_responsibilities,
    random_responsibilities,
    spread_labels,
)
from anabranch.training.options import FitOptions
from anabranch.training.schedules import (
    ExponentialDecay,
    ReduceOnPlateau,
    Schedule,
    ScheduledBuffer,
)

__all__ = [
    "CovarianceModel",
    "DivergedWarning",
    "ExponentialDecay",
    "FitOptions",
    "FitResult",
    "GaussianParameters",
    "GaussianStart",
    "ReduceOnPlateau",
    "Schedule",
    "ScheduledBuffer",
    "StartOptions",
    "em_start",
    "fit",
    "gaussian_em",
    "gaussian_m_step",
    "hard_start",
    "held_out_log_prob",
    "is_small",
    "kmeans_responsibilities",
    "random_responsibilities",
    "spread_labels",
]
