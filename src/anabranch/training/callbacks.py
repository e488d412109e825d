"""What is told of the runs of the loop while they go: trackers, plots, searches."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from anabranch.training.options import FitOptions
from anabranch.training.result import FitResult


class Callback:
    """Is told of every run of the loop: a fit of an estimator may have several, by stages.

    Each method does nothing here; what one raises ends the run. Of several processes the first
    alone calls.

    Example:
        >>> from anabranch import FlowDensity
        >>> class Print(Callback):
        ...     def on_evaluation(self, stage, entry):
        ...         print(stage, int(entry["epoch"]), sorted(entry)[-1])
        >>> flow = {"name": "realnvp", "n_layers": 1, "hidden": [4]}
        >>> with callbacks(Print()):
        ...     _ = FlowDensity(flow, max_epochs=1, random_state=0).fit([[0.0, 1.0], [1.0, 3.0]])
        train 0 validation_nll
        train 1 validation_nll
    """

    def on_start(self, stage: str | None, options: FitOptions) -> None:
        """A run begins, or goes on from a checkpoint.

        Args:
            stage: its name, such as "pretrain" or "train"; None where it has none.
            options: its settings.
        """

    def on_evaluation(self, stage: str | None, entry: Mapping[str, float]) -> None:
        """The state was scored: epoch, step, train_loss, validation terms, schedules."""

    def on_end(self, stage: str | None, result: FitResult | None) -> None:
        """The run has ended.

        Args:
            stage: its name.
            result: what it came to; None where it was cut short by an error or by Ctrl-C.
        """


_ACTIVE: ContextVar[tuple[Callback, ...]] = ContextVar("callbacks", default=())


@contextmanager
def callbacks(*given: Callback) -> Iterator[None]:
    """Tell callbacks of all runs of the loop within the block, beside those around it.

    Raises:
        TypeError: for what is no `Callback`.
    """
    for callback in given:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks must be of class Callback, got {callback!r}")
    token = _ACTIVE.set((*_ACTIVE.get(), *given))
    try:
        yield
    finally:
        _ACTIVE.reset(token)


def active_callbacks() -> tuple[Callback, ...]:
    """Those of the blocks around.

    Example:
        >>> active_callbacks()
        ()
    """
    return _ACTIVE.get()
