"""A run that is killed at any step and resumed ends with the bits of one that never was."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from anabranch.archive import read_archive, write_archive
from anabranch.training import CosineDecay, FitOptions, fit
from tests.registry import seeded
from tests.training.toys import (
    EPOCHS,
    STEPS,
    Killed,
    Mean,
    bytes_data,
    points,
    run_bytes,
)

ROOT = Path(__file__).parents[2]


def bits(model, result):
    """All that must be equal; text, because NaN is."""
    state = {k: v.view(torch.int32).tolist() for k, v in model.state_dict().items()}
    facts = {k: v for k, v in vars(result).items() if k != "seconds"}
    return json.dumps({"state": state, "facts": facts})


@pytest.fixture(scope="module")
def uninterrupted():
    model, result = run_bytes(None)
    assert result.steps == STEPS * EPOCHS
    assert (result.rollbacks, result.skipped_steps) == (1, 3)
    assert 0 < result.best_epoch < EPOCHS
    return bits(model, result)


def kill_at(step):
    def at_step(now):
        if now == step:
            raise Killed

    return at_step


def interrupt_at(step):
    def at_step(now):
        if now == step:
            signal.raise_signal(signal.SIGINT)

    return at_step


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.checkpoint"


def test_checkpoints_change_nothing(path, uninterrupted):
    assert bits(*run_bytes(path)) == uninterrupted


# checkpoints lie at every fourth step, epochs end at every sixth
@pytest.mark.parametrize("step", range(5, STEPS * EPOCHS + 1))
def test_killed_at(path, uninterrupted, step):
    with pytest.raises(Killed):
        run_bytes(path, at_step=kill_at(step))
    saved = read_archive(path, "checkpoint")["result"]["steps"]
    assert saved == (step - 1) // 4 * 4
    assert bits(*run_bytes(path, resume=True)) == uninterrupted


@pytest.mark.parametrize("step", [1, 3, STEPS, STEPS + 1, 15, STEPS * EPOCHS])
def test_interrupted_at(path, uninterrupted, step):
    """Ctrl-C saves the very step, wherever checkpoints lie."""
    with pytest.raises(KeyboardInterrupt):
        run_bytes(path, at_step=interrupt_at(step), checkpoint_steps=1000)
    assert read_archive(path, "checkpoint")["result"]["steps"] == step
    assert bits(*run_bytes(path, resume=True)) == uninterrupted
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_killed_again_and_again(path, uninterrupted):
    with pytest.raises(Killed):
        run_bytes(path, at_step=kill_at(8))
    for _ in range(4):
        with pytest.raises(Killed):
            run_bytes(path, resume=True, at_step=kill_at(6))
    assert bits(*run_bytes(path, resume=True)) == uninterrupted


def test_killed_in_an_evaluation(path, uninterrupted, monkeypatch):
    from anabranch.training import fit as module

    calls = []

    def evaluate(*args):
        calls.append(args)
        if len(calls) == 3:
            raise Killed
        return original(*args)

    original = sys.modules[module.__module__].evaluate
    monkeypatch.setattr(sys.modules[module.__module__], "evaluate", evaluate)
    with pytest.raises(Killed):
        run_bytes(path)
    assert bits(*run_bytes(path, resume=True)) == uninterrupted


def test_a_finished_run_stays_as_it_is(path, uninterrupted):
    run_bytes(path)
    assert bits(*run_bytes(path, resume=True)) == uninterrupted


def test_a_longer_run_goes_on(path):
    run_bytes(path, max_epochs=3)
    model, result = run_bytes(path, resume=True)
    assert result.steps == STEPS * EPOCHS
    assert bits(model, result) == bits(*run_bytes(None))


def test_more_patience_goes_on(path):
    options = FitOptions(
        max_epochs=50, batch_size=8, min_evaluation_steps=1, checkpoint=path, patience=1
    )
    first = fit(Mean(), points(2.0), points(0.0), options=options)
    assert first.stopped == "patience"
    longer = FitOptions(**{**vars(options), "patience": 5})
    result = fit(Mean(), points(2.0), points(0.0), options=longer, resume=True)
    whole = fit(
        Mean(),
        points(2.0),
        points(0.0),
        options=FitOptions(**{**vars(longer), "checkpoint": None}),
    )
    assert result.steps == whole.steps > first.steps
    assert result.stopped == "patience"


@pytest.mark.filterwarnings("ignore::anabranch.training.DivergedWarning")
def test_a_diverged_run_is_not_taken_up(path):
    changes = {"max_skipped": 1, "max_rollbacks": 0, "checkpoint_steps": 1}
    model, result = run_bytes(path, **changes)
    assert (result.stopped, result.steps) == ("diverged", 15)
    assert bits(*run_bytes(path, resume=True, **changes)) == bits(model, result)


def test_an_interrupt_in_the_last_evaluation_is_heard(path, uninterrupted):
    class Last(Mean):
        def forward(self, batch):
            if not self.training and self.loc.item() != 0.0:
                signal.raise_signal(signal.SIGINT)
            return super().forward(batch)

    options = FitOptions(max_epochs=1, checkpoint=path)
    with pytest.raises(KeyboardInterrupt):
        fit(Last(), points(1.0), points(1.0), options=options)
    assert read_archive(path, "checkpoint")["counters"]["epoch"] == 1


def test_a_second_interrupt_stops_at_once(path):
    class Twice(Mean):
        def forward(self, batch):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("not reached")

    with pytest.raises(KeyboardInterrupt):
        fit(Twice(), points(1.0), options=FitOptions(max_epochs=1, checkpoint=path))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"batch_size": 10}, "options.batch_size was 8, now 10"),
        ({"learning_rate": 0.01}, "options.learning_rate was 0.02, now 0.01"),
        ({"average": 0.0, "max_skipped": 3}, "options.average was 0.9, now 0.0; options.max_skip"),
    ],
)
def test_a_run_with_other_settings_is_refused(path, change, said):
    run_bytes(path, max_epochs=1)
    with pytest.raises(ValueError, match=rf"checkpoint of another run: {re.escape(said)}"):
        run_bytes(path, resume=True, **change)


@pytest.mark.parametrize(
    ("named", "model", "data", "validation", "seed"),
    [
        ("rows was 8, now 9; data was ", Mean(), points(1.0, 9), points(0.0), 0),
        ("data was ", Mean(), points(1.5), points(0.0), 0),
        ("validation was ", Mean(), points(1.0), points(0.5), 0),
        ("validation was ", Mean(), points(1.0), None, 0),
        ("seed was 0, now 1. ", Mean(), points(1.0), points(0.0), 1),
        (
            "shapes.0.loc was absent, now [1]; shapes.0.factor was absent, now []; "
            "shapes.loc was [1], now absent; and 1 more. ",
            torch.nn.Sequential(Mean()),
            points(1.0),
            points(0.0),
            0,
        ),
    ],
)
def test_a_run_on_other_things_is_refused(path, named, model, data, validation, seed):
    options = FitOptions(max_epochs=1, checkpoint=path)
    fit(Mean(), points(1.0), points(0.0), options=options, generator=seeded(0))
    with pytest.raises(ValueError, match=f"checkpoint of another run: {re.escape(named)}"):
        fit(model, data, validation, options=options, generator=seeded(seed), resume=True)


def test_a_run_with_another_schedule_is_refused(path):
    options = FitOptions(max_epochs=1, checkpoint=path)
    fit(Mean(), points(1.0), options=options, schedules=[CosineDecay(20)])
    said = "schedules.learning_rate.steps was 20, now 30"
    with pytest.raises(ValueError, match=said):
        fit(Mean(), points(1.0), options=options, schedules=[CosineDecay(30)], resume=True)
    with pytest.raises(ValueError, match=r"learning_rate was .*CosineDecay.*, now absent"):
        fit(Mean(), points(1.0), options=options, resume=True)


def test_further_facts_can_be_asked_for(path):
    options = FitOptions(max_epochs=1, checkpoint=path)
    flow = {"name": "maf", "activation": "relu"}
    fit(Mean(), points(1.0), options=options, identity={"flow": flow})
    fit(Mean(), points(1.0), options=options, identity={"flow": flow}, resume=True)
    other = {"flow": {**flow, "activation": "tanh"}}
    said = r"checkpoint of another run: flow\.activation was 'relu', now 'tanh'\. Resume with"
    with pytest.raises(ValueError, match=said):
        fit(Mean(), points(1.0), options=options, identity=other, resume=True)


def test_limits_grow_and_do_not_shrink_below_the_run(path):
    def run(resume=True, **changes):
        options = FitOptions(
            **{"max_epochs": 4, "patience": 9, "checkpoint": path, "batch_size": 8, **changes}
        )
        return fit(Mean(), points(1.0), points(0.0), options=options, resume=resume)

    run(resume=False)
    said = "checkpoint of another run: options.{} was {}, now {}. It may grow, not shrink"
    with pytest.raises(ValueError, match=said.format("max_epochs", 4, 3)):
        run(max_epochs=3)
    with pytest.raises(ValueError, match=said.format("patience", 9, 8)):
        run(patience=8)
    assert run(max_epochs=5, patience=10).steps == 5
    run(patience=None, max_epochs=5)
    with pytest.raises(ValueError, match=said.format("patience", None, 10**6)):
        run(patience=10**6, max_epochs=5)


def test_a_longer_run_does_not_know_where_the_shorter_one_ended(path):
    """The last epoch is always scored; in a longer run it may be one that is not."""
    changes = {"min_evaluation_steps": 2 * STEPS}
    first = run_bytes(path, max_epochs=3, **changes)[1]
    assert [entry["epoch"] for entry in first.history] == [0, 2, 3]
    again = run_bytes(path, max_epochs=3, resume=True, **changes)[1]
    assert [entry["epoch"] for entry in again.history] == [0, 2, 3]
    whole = run_bytes(None, max_epochs=4, **changes)
    assert bits(*run_bytes(path, max_epochs=4, resume=True, **changes)) == bits(*whole)
    assert [entry["epoch"] for entry in whole[1].history] == [0, 2, 4]


def test_a_run_without_steps_is_taken_up(path):
    run_bytes(path, max_epochs=0)
    assert bits(*run_bytes(path, resume=True)) == bits(*run_bytes(None))


def test_a_damaged_checkpoint_is_refused(path):
    run_bytes(path, max_epochs=1)
    content = path.read_bytes()
    for damaged in (b"", content[:-1], content[:100], content[:-9] + b"x" + content[-8:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"run\.checkpoint is (damaged|empty)"):
            run_bytes(path, resume=True)


def test_a_model_file_is_no_checkpoint(path):
    write_archive(path, "model", {})
    with pytest.raises(ValueError, match="is a model file, expected a checkpoint"):
        run_bytes(path, resume=True)


@pytest.mark.parametrize("patience", ["", False, 1.5])
def test_limits_that_are_no_counts(path, patience):
    run_bytes(path, max_epochs=1)
    tree = read_archive(path, "checkpoint")
    write_archive(path, "checkpoint", {**tree, "limits": {**tree["limits"], "patience": patience}})
    with pytest.raises(ValueError, match="no checkpoint that a run has left: ValueError: expected"):
        run_bytes(path, resume=True)


def test_nothing_to_resume_from(path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        run_bytes(path, resume=True)
    with pytest.raises(ValueError, match=r"resume needs options\.checkpoint"):
        run_bytes(None, resume=True)


def test_a_checkpoint_that_cannot_be_written(tmp_path):
    with pytest.raises(OSError, match="there is no folder"):
        run_bytes(tmp_path / "no" / "run.checkpoint")


SCRIPT = """
import sys, time
from pathlib import Path
from tests.training.toys import run_bytes

def at_step(step):
    if step == 9:
        print("now", flush=True)
    if step >= 9:
        time.sleep(0.5)  # Ctrl-C comes in the middle of a step

run_bytes(Path(sys.argv[1]), at_step=at_step, checkpoint_steps=int(sys.argv[2]))
"""


@pytest.mark.parametrize(
    ("number", "checkpoint_steps"),
    [
        pytest.param(signal.SIGINT, 1000, id="INT"),
        pytest.param(signal.SIGTERM, 1000, id="TERM", marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, 3, id="KILL", marks=pytest.mark.slow),
    ],
)
def test_a_process_that_is_stopped(path, uninterrupted, number, checkpoint_steps):
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path), str(checkpoint_steps)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        time.sleep(0.1)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == -signal.SIGINT  # how Python ends on KeyboardInterrupt
        assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert read_archive(path, "checkpoint")["result"]["steps"] in (6, 9)
    assert bits(*run_bytes(path, resume=True)) == uninterrupted
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_toys_do_draw_anew():
    """The dequantization of a run draws noise: without it, these tests would prove less."""
    model, _ = run_bytes(None, max_epochs=0)
    batch = bytes_data()
    losses = {model.train()(batch).total.item() for _ in range(3)}
    assert len(losses) == 3
