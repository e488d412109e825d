"""One fit loop, schedules, initialisation and checkpoints."""

from anabranch.training.adversarial import Game, fit_adversarial
from anabranch.training.fit import DivergedWarning, FitResult, fit
from anabranch.training.halving import Halving, RateHalving, first_std, std_annealing
from anabranch.training.options import FitOptions
from anabranch.training.reverse_kl import (
    Annealing,
    CosineDecay,
    fit_variational,
    importance_diagnostics,
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

__all__ = [
    "Annealing",
    "CosineDecay",
    "DivergedWarning",
    "ExponentialDecay",
    "FitOptions",
    "FitResult",
    "Game",
    "Halving",
    "LateFloat32",
    "RampUp",
    "RateHalving",
    "ReduceOnPlateau",
    "Schedule",
    "ScheduledBuffer",
    "Snapshots",
    "first_std",
    "fit",
    "fit_adversarial",
    "fit_variational",
    "importance_diagnostics",
    "std_annealing",
]
