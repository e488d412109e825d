"""An objective draws from a source that the loop gives it and keeps."""

import functools

import pytest
import torch
from torch import nn

from anabranch.contracts import Loss, Objective
from anabranch.training import FitOptions, fit
from anabranch.training.fit import evaluate
from tests.registry import seeded
from tests.training.toys import Killed, Mean, points

OPTIONS = {"batch_size": 4, "learning_rate": 0.1, "min_evaluation_steps": 1, "patience": None}


class Jittered(Objective):
    """Squared distance to rows that are moved at random, in training and in validation."""

    stochastic = True

    def __init__(self, kill_at: int = 10**9) -> None:
        super().__init__()
        self.model = nn.Linear(1, 1)
        nn.init.zeros_(self.model.weight)
        nn.init.zeros_(self.model.bias)
        self.kill_at, self.calls, self.sources = kill_at, 0, set()

    def forward(self, batch, *, generator=None):
        self.calls += 1
        if self.calls == self.kill_at:
            raise Killed
        self.sources.add(generator)
        x = batch["x"] + torch.randn(batch["x"].shape, generator=generator)
        return Loss((self.model(torch.ones_like(x)) - x).square().mean(), {})


class Still(Objective):
    """An objective that draws nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Mean()

    def forward(self, batch, *, generator=None):
        assert generator is None
        return self.model(batch)


def run(objective, seed=3, *, resume=False, data=None, **changes):
    options = FitOptions(**{**OPTIONS, "max_epochs": 6, **changes})
    data = points(2.0) if data is None else data
    return fit(
        objective,
        data,
        data,
        options=options,
        generator=seeded(1),
        noise=None if seed is None else seeded(seed),
        resume=resume,
    )


def test_steps_and_validation_draw_from_the_given_source():
    source, objective = seeded(3), Jittered()
    before = source.get_state()
    fit(objective, points(2.0), points(2.0), options=FitOptions(max_epochs=1), noise=source)
    assert objective.sources == {source}
    assert objective.calls == 3  # the start, one step, one evaluation
    assert not torch.equal(source.get_state(), before)


def test_the_seed_is_the_run():
    torch.manual_seed(0)
    first = run(Jittered())
    torch.manual_seed(1)
    again, other = run(Jittered()), run(Jittered(), seed=4)
    assert first.history[1:] == again.history[1:]
    assert first.history[1:] != other.history[1:]


@pytest.mark.parametrize("call", [3, 8, 14])
def test_a_resumed_run_draws_what_it_would_have_drawn(tmp_path, call):
    whole, resumed = Jittered(), Jittered()
    expected = run(whole).history
    options = {"checkpoint": tmp_path / "run", "checkpoint_steps": 1}
    with pytest.raises(Killed):
        run(Jittered(kill_at=call), **options)
    found = run(resumed, resume=True, **options).history
    assert found[1:] == expected[1:]
    assert torch.equal(whole.model.bias, resumed.model.bias)


def test_other_draws_are_another_run(tmp_path):
    run(Jittered(), checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match="another run: noise was 3, now 99"):
        run(Jittered(), seed=99, resume=True, checkpoint=tmp_path / "run")


def test_without_a_source_draws_follow_the_seed_of_the_row_order():
    torch.manual_seed(0)
    first = run(Jittered(), seed=None).history
    torch.manual_seed(1)
    assert run(Jittered(), seed=None).history[1:] == first[1:]


def test_one_that_draws_nothing_is_called_without_a_source():
    assert run(Still()).best_score == pytest.approx(0.0, abs=2.0)
    assert evaluate(Still(), points(1.0), 8, seeded(0)) == {"loss": 1.0, "error": 1.0}


def test_compiled_it_draws_the_same(monkeypatch):
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    plain, compiled = Jittered(), Jittered()
    assert run(plain).history[1:] == run(compiled, compile=True).history[1:]
    assert torch.equal(plain.model.bias, compiled.model.bias)


def test_the_contract_is_abstract():
    with pytest.raises(NotImplementedError, match="Objective has no forward"):
        Objective()({})
