"""What callbacks are told."""

import numpy as np
import pytest

from anabranch import FlowMixture
from anabranch.training import Callback, FitOptions, TensorBoardTracker, callbacks, fit
from tests.training.toys import Mean, points

FLOW = {"name": "realnvp", "n_layers": 1, "hidden": [4]}


class Notes(Callback):
    def __init__(self):
        self.told = []

    def on_start(self, stage, options):
        self.told.append(("start", stage, options.max_epochs))

    def on_evaluation(self, stage, entry):
        self.told.append((stage, entry["epoch"]))

    def on_end(self, stage, result):
        self.told.append(("end", stage, result if result is None else result.steps))


def run(stage="train"):
    options = FitOptions(max_epochs=2, min_evaluation_steps=1)
    return fit(Mean(), points(2.0), points(2.0), options=options, stage=stage)


def test_a_run_is_told_from_its_start_to_its_end():
    notes, other = Notes(), Notes()
    with callbacks(notes):
        with callbacks(other):
            result = run()
        run(None)
    whole = [
        ("start", "train", 2),
        *(("train", k) for k in range(3)),
        ("end", "train", result.steps),
    ]
    assert other.told == whole
    assert notes.told[: len(whole)] == whole
    assert notes.told[len(whole)][:2] == ("start", None)
    run()
    assert len(notes.told) == 2 * len(whole)  # not outside the block


def test_what_a_callback_raises_ends_the_run():
    class Stop(Notes):
        def on_evaluation(self, stage, entry):
            raise RuntimeError("enough")

    stop = Stop()
    with pytest.raises(RuntimeError, match="enough"), callbacks(stop):
        run()
    assert stop.told == [("start", "train", 2), ("end", "train", None)]


def test_an_estimator_tells_of_its_stages():
    notes = Notes()
    X = np.random.RandomState(0).randn(60, 2)
    with callbacks(notes):
        mixture = FlowMixture(2, flow=FLOW, max_epochs=1, random_state=0).fit(X)
    started = [told[1] for told in notes.told if told[0] == "start"]
    # every candidate races
    assert list(dict.fromkeys(started)) == mixture.fit_result_.stages


def test_only_callbacks_are_called():
    with pytest.raises(TypeError, match="must be of class Callback"), callbacks(print):
        pass


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_has_a_run_for_each_stage(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with callbacks(TensorBoardTracker(tmp_path)):
        result = run("teach q")
    board = EventAccumulator(str(tmp_path / "teach-q"))
    board.Reload()
    assert len(board.Scalars("validation_loss")) == len(result.history)
