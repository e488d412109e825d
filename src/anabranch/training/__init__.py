"""One fit loop, a loop for two players, schedules, and checkpoints."""

from anabranch.training.adversarial import Game as Game
from anabranch.training.adversarial import fit_adversarial as fit_adversarial
from anabranch.training.callbacks import Callback as Callback
from anabranch.training.callbacks import callbacks as callbacks
from anabranch.training.evaluation import evaluate as evaluate
from anabranch.training.fit import fit as fit
from anabranch.training.fit_reverse_kl import fit_reverse_kl as fit_reverse_kl
from anabranch.training.options import FitOptions as FitOptions
from anabranch.training.rates import CosineDecay as CosineDecay
from anabranch.training.rates import HoldThenDecay as HoldThenDecay
from anabranch.training.rates import RateHalving as RateHalving
from anabranch.training.rates import ReduceOnPlateau as ReduceOnPlateau
from anabranch.training.result import DivergedWarning as DivergedWarning
from anabranch.training.result import FitResult as FitResult
from anabranch.training.row_stream import RowStream as RowStream
from anabranch.training.run_state import CheckpointWarning as CheckpointWarning
from anabranch.training.schedules import LateFloat32 as LateFloat32
from anabranch.training.schedules import Schedule as Schedule
from anabranch.training.schedules import ScheduledBuffer as ScheduledBuffer
from anabranch.training.snapshots import Snapshots as Snapshots
from anabranch.training.step_functions import Annealing as Annealing
from anabranch.training.step_functions import ExponentialDecay as ExponentialDecay
from anabranch.training.step_functions import Halving as Halving
from anabranch.training.step_functions import RampUp as RampUp
from anabranch.training.tensorboard import TensorBoardTracker as TensorBoardTracker
