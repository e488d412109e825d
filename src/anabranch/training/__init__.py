"""One fit loop, a loop for two players, schedules, and checkpoints."""

from anabranch.training.adversarial import Game, fit_adversarial
from anabranch.training.evaluation import evaluate
from anabranch.training.fit import fit
from anabranch.training.fit_reverse_kl import fit_reverse_kl
from anabranch.training.options import FitOptions
from anabranch.training.rates import CosineDecay, RateHalving, ReduceOnPlateau
from anabranch.training.result import DivergedWarning, FitResult
from anabranch.training.schedules import LateFloat32, Schedule, ScheduledBuffer
from anabranch.training.snapshots import Snapshots
from anabranch.training.step_functions import Annealing, ExponentialDecay, Halving, RampUp

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
    "evaluate",
    "fit",
    "fit_adversarial",
    "fit_reverse_kl",
]
