"""How flows are trained, alone and in mixtures: the loop and its learning rate."""

from torch import nn

from anabranch.archive import fingerprint
from anabranch.estimators.optimisation import Optimisation
from anabranch.training import CosineDecay, FitOptions, ReduceOnPlateau, Schedule

LEARNING_RATE = 5e-3


def flow_options(optimisation: Optimisation, n_rows: int, monitor: str = "nll") -> FitOptions:
    """The settings of the loop.

    Args:
        optimisation: what the user wants; a learning rate of "auto" is less for fewer than two
            thousand rows, where a flow overfits within few steps.
        n_rows: N.
        monitor: the validation term by which the best state is chosen.

    Example:
        >>> flow_options(Optimisation(learning_rate="auto"), 1000).learning_rate
        0.0025
    """
    return optimisation.options(
        n_rows,
        learning_rate=optimisation.rate(LEARNING_RATE * min(1.0, n_rows / 2000)),
        average=0.99,
        min_evaluation_steps=20 if n_rows > 1000 else 5,
        monitor=monitor,
    )


def run_identity(
    optimisation: Optimisation, model: nn.Module, options: FitOptions
) -> dict[str, object] | None:
    """What a checkpoint must share: the settings, and the start, whose shapes say little."""
    if options.checkpoint is None:
        return None
    return {**optimisation.identity, "start": fingerprint(model.state_dict())}


def rate_schedule(patience: int | None, options: FitOptions, n_rows: int) -> Schedule:
    """With patience the rate falls where nothing improves; without, over the whole run."""
    if patience is None:
        steps = max(1, n_rows // min(options.batch_size, n_rows)) * max(1, options.max_epochs)
        return CosineDecay(steps)
    return ReduceOnPlateau(patience=max(patience // 2 - 2, 1))
