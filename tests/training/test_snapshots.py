"""States that a run keeps of its model."""

from itertools import pairwise

import pytest
import torch

from anabranch.training import FitOptions, Schedule, Snapshots, fit
from tests.registry import seeded
from tests.training.toys import Killed, Mean, points


def steps_kept(limit, n_evaluations, every=10):
    """The steps that are kept of a run that is evaluated at every tenth step."""
    model = Mean()
    optimizer = torch.optim.SGD(model.parameters())
    snapshots = Snapshots(model, limit)
    for step in range(n_evaluations * every):
        snapshots.on_step(step)
        if (step + 1) % every == 0:
            snapshots.on_evaluation(0.0, optimizer)
    return [step for step, _ in snapshots.states]


@pytest.mark.parametrize("limit", [2, 3, 4, 7, 10])
@pytest.mark.parametrize("n_evaluations", [1, 2, 3, 9, 10, 100, 101])
def test_few_are_kept_and_they_are_evenly_spaced(limit, n_evaluations):
    steps = steps_kept(limit, n_evaluations)
    assert min(limit, n_evaluations + 1) / 2 < len(steps) <= limit
    assert steps[0] == 0
    assert len({b - a for a, b in pairwise(steps)}) <= 1
    # the end is not further away than the next state would have been
    spacing = steps[1] - steps[0] if len(steps) > 1 else 10 * 2 * n_evaluations
    assert steps[-1] > 10 * n_evaluations - spacing


def test_all_are_kept_while_there_is_room():
    assert steps_kept(4, 3) == [0, 10, 20, 30]
    assert steps_kept(4, 4) == [0, 20, 40]
    assert steps_kept(1, 50) == [0]


def test_they_are_copies_of_the_weights_that_were_scored():
    model, snapshots = Mean(), None
    snapshots = Snapshots(model, 50)
    options = FitOptions(
        max_epochs=6, batch_size=4, learning_rate=0.1, average=0.9, min_evaluation_steps=1
    )
    validation = points(2.0, 4)
    result = fit(model, points(2.0), validation, options=options, schedules=[snapshots])
    assert [step for step, _ in snapshots.states] == [entry["step"] for entry in result.history]
    for entry, (_, state) in zip(result.history, snapshots.states, strict=True):
        error = (2.0 - state["loc"]).square().item()
        assert error == pytest.approx(entry["validation_error"], rel=1e-6)
    assert len({state["loc"].item() for _, state in snapshots.states}) == 7


class KillAt(Schedule):
    """Ends the run before a step."""

    name, value = "kill", 0.0

    def __init__(self, step):
        self.step = step

    def on_step(self, step):
        if step == self.step:
            raise Killed

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def run(path=None, *, limit=4, kill=-1, resume=False):
    model = Mean()
    data = {"x": torch.randn(20, 1, generator=seeded(0))}
    snapshots = Snapshots(model, limit)
    options = FitOptions(
        max_epochs=12,
        batch_size=4,
        learning_rate=0.1,
        average=0.9,
        min_evaluation_steps=4,
        checkpoint=path,
        checkpoint_steps=3,
        patience=None,
    )
    schedules = [KillAt(kill), snapshots]
    fit(
        model,
        data,
        points(1.0),
        options=options,
        schedules=schedules,
        generator=seeded(1),
        resume=resume,
    )
    return [
        (step, {name: t.tolist() for name, t in state.items()}) for step, state in snapshots.states
    ]


@pytest.fixture(scope="module")
def uninterrupted():
    return {limit: run(limit=limit) for limit in (4, 50)}


# checkpoints lie at every third step, epochs end at every fifth
@pytest.mark.parametrize("limit", [4, 50])
@pytest.mark.parametrize("step", [4, 6, 10, 16, 31, 46, 59])
def test_a_resumed_run_ends_with_the_same_states(tmp_path, uninterrupted, step, limit):
    path = tmp_path / "run.checkpoint"
    with pytest.raises(Killed):
        run(path, limit=limit, kill=step)
    assert run(path, limit=limit, resume=True) == uninterrupted[limit]


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one(limit):
    with pytest.raises(ValueError, match=f"limit must be at least 1, got {limit}"):
        Snapshots(Mean(), limit)


@pytest.mark.parametrize("limit", [2.0, "4", True])
def test_a_limit_that_is_no_integer(limit):
    with pytest.raises(TypeError, match="limit must be an integer, got"):
        Snapshots(Mean(), limit)
