"""The loop of generator and critic, against what is known of its end."""

import math
import signal

import pytest
import torch
from torch import nn

from anabranch.networks import MLP
from anabranch.procedures.games import make_game
from anabranch.training import (
    DivergedWarning,
    FitOptions,
    RateHalving,
    Schedule,
    fit_adversarial,
)
from tests.registry import seeded

LOSSES = ("nonsaturating", "wgan-gp")


class Line(nn.Module):
    """Draws of a normal with free mean and standard deviation."""

    def __init__(self):
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(1))
        self.scale = nn.Parameter(torch.ones(1))
        self.calls = 0

    def draw(self, n, generator):
        self.calls += 1
        return self.loc + self.scale * torch.randn(n, 1, generator=generator)


def options(**changes):
    standard = {"max_epochs": 3, "batch_size": 50, "learning_rate": 1e-2, "progress": False}
    return FitOptions(**{**standard, **changes})


def played(loss="nonsaturating", x=None, **changes):
    game = make_game(loss, changes.pop("penalty", None))
    keywords = {k: changes.pop(k) for k in list(changes) if k not in vars(FitOptions())}
    line, critic = Line(), MLP(1, 1, (32, 32), generator=seeded(0))
    if x is None:
        x = 1.5 + 0.5 * torch.randn(400, 1, generator=seeded(1))
    result = fit_adversarial(
        line.draw,
        (line, critic),
        x,
        game=game,
        options=options(**changes),
        generator=seeded(2),
        **keywords,
    )
    return line, critic, result


def test_it_finds_mean_and_standard_deviation():
    line, critic, result = played(
        max_epochs=75, average=0.98, penalty=0.05, schedules=[RateHalving(200)]
    )
    assert line.loc.item() == pytest.approx(1.5, abs=0.1)
    assert line.scale.item() == pytest.approx(0.5, abs=0.1)
    assert result.steps == 75 * 8
    assert result.stopped == "max_epochs"
    assert not critic.training
    last = result.history[-1]
    assert last["learning_rate"] == pytest.approx(0.0025)
    assert last["critic_loss"] == pytest.approx(2 * math.log(2), abs=0.02)  # it cannot tell


def test_the_distance_of_wasserstein_falls():
    """From 1.6 at the start, by few steps."""
    changes = {"max_epochs": 150, "critic_steps": 3, "schedules": [RateHalving(120)]}
    line, _, result = played("wgan-gp", average=0.98, **changes)
    assert result.steps == 300
    gap = math.hypot(line.loc.item() - 1.5, line.scale.item() - 0.5)
    assert gap < 0.8


def test_the_critic_of_a_fixed_generator_estimates_the_distance():
    """Draws are at zero and rows at two: the distance is two, and its critic has slope one."""
    critic = MLP(1, 1, (16,), generator=seeded(0))
    idle = nn.Linear(1, 1)
    result = fit_adversarial(
        lambda n, source: 0.0 * idle(torch.zeros(n, 1)),
        (idle, critic),
        torch.full((100, 1), 2.0),
        game=make_game("wgan-gp"),
        options=options(max_epochs=400, batch_size=25, learning_rate=3e-3, clip_norm=None),
        generator=seeded(0),
    )
    # the penalty of weight w lets the slope be 1 + d / (2 w) at the distance d
    assert -result.history[-1]["critic_loss"] == pytest.approx(2.0 * 1.1, abs=0.1)
    assert result.history[-1]["slope"] == pytest.approx(0.01, abs=0.005)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_same_seed_gives_the_same_bits(loss):
    first, second = (played(loss)[0] for _ in range(2))
    assert torch.equal(first.loc, second.loc)
    assert not torch.equal(first.loc, torch.zeros(1))


def test_it_counts_steps_of_both():
    line, _, result = played(critic_steps=3)
    assert result.steps == 3 * (8 // 3)
    assert line.calls == 4 * result.steps
    entries = result.history
    assert [entry["step"] for entry in entries] == [2, 4, 6]
    for entry in entries:
        expected = entry["critic_loss"] + 0.5 * entry["slope"]
        assert entry["train_loss"] == pytest.approx(expected)


def test_fewer_rows_than_asked_for_are_one_step():
    _, _, result = played(x=torch.randn(7, 1), critic_steps=5)
    assert result.steps == 3


def test_an_average_is_left_in_place():
    plain, average = played()[0], played(average=0.9)[0]
    assert not torch.equal(plain.loc, average.loc)
    assert 0 < average.loc.item() < plain.loc.item()


def test_each_player_moves_itself_alone():
    line, critic, _ = played(max_epochs=0)
    before = [p.clone() for p in critic.parameters()]
    line, critic, _ = played(max_epochs=1, x=torch.randn(50, 1), batch_size=50)
    assert all(p.grad is None for module in (line, critic) for p in module.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, critic.parameters(), strict=True))
    # Adam's first step is as long as the learning rate, whatever the gradient
    assert abs(line.loc.item()) == pytest.approx(1e-2, rel=1e-3)


class Broken(Line):
    """Draws that are not finite from some call on."""

    def __init__(self, calls):
        super().__init__()
        self.broken = calls

    def draw(self, n, generator):
        drawn = super().draw(n, generator)
        return drawn * torch.nan if self.calls in self.broken else drawn


def broken(calls, **changes):
    line, critic = Broken(calls), MLP(1, 1, (16,), generator=seeded(0))
    x = torch.randn(400, 1, generator=seeded(1))
    result = fit_adversarial(
        line.draw,
        (line, critic),
        x,
        game=make_game("nonsaturating"),
        options=options(**changes),
        generator=seeded(2),
    )
    assert all(torch.isfinite(p).all() for m in (line, critic) for p in m.parameters())
    return line, result


def test_a_step_that_is_not_finite_is_skipped():
    _, result = broken({4})
    assert (result.skipped_steps, result.rollbacks) == (1, 0)
    assert result.history[-1]["skipped_steps"] == 1
    assert math.isfinite(result.history[-1]["train_loss"])


def test_repeated_ones_restore_the_good_state_with_half_the_rate():
    _, result = broken({25, 26, 27}, max_skipped=3)
    assert result.rollbacks == 1
    assert result.history[-1]["learning_rate"] == pytest.approx(5e-3)
    assert result.stopped == "max_epochs"


def test_a_run_that_stays_broken_ends():
    with pytest.warns(DivergedWarning, match="diverged at step"):
        line, result = broken(range(30, 10**6), max_skipped=2, max_rollbacks=1, max_epochs=50)
    assert result.stopped == "diverged"
    assert result.rollbacks == 2
    assert len(result.history) < 5
    assert line.loc.item() != 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "hinge"}, r"loss must be one of \('nonsaturating', 'wgan-gp'\), got 'hinge'"),
        ({"critic_steps": 0}, "critic_steps must be at least 1, got 0"),
        ({"penalty": -1.0}, "penalty must be a number not below zero, got -1.0"),
        ({"penalty": math.nan}, "penalty must be .* got nan"),
        ({"x": torch.zeros(3)}, r"x must be rows \(N, D\), got the shape \(3,\)"),
        ({"x": torch.zeros(0, 1)}, r"got the shape \(0, 1\)"),
        ({"x": torch.tensor([[0.0], [math.inf]])}, "x must be finite, got 1 numbers"),
        ({"compile": True}, "compile must be False for two players, got True"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        played(**changes)


# --- resumed -------------------------------------------------------------------------------------


def outcome(run):
    line, critic, result = run
    facts = {k: v for k, v in vars(result).items() if k != "seconds"}
    state = [p.tolist() for p in (*line.parameters(), *critic.parameters())]
    return str((state, facts))


class Killed(BaseException):
    """What a kill looks like from within."""


class Killing(Schedule):
    """Ends the run before a step, at once or by Ctrl-C."""

    name, value = "killing", 0.0

    def __init__(self, step, *, gently):
        self.step, self.gently = step, gently

    def on_step(self, step):
        if step == self.step and self.gently:
            signal.raise_signal(signal.SIGINT)
        elif step == self.step:
            raise Killed

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("step", "gently"), [(2, False), (5, False), (8, True), (3, True)])
def test_a_resumed_game_ends_with_the_same_bits(tmp_path, loss, step, gently):
    common = {"average": 0.9, "critic_steps": 2, "checkpoint_steps": 1 if not gently else 99}

    def run(number, resume=False, **changes):
        schedules = [RateHalving(5), Killing(number, gently=gently)]
        return played(loss, schedules=schedules, resume=resume, **common, **changes)

    whole = outcome(run(10**9))
    path = tmp_path / "game"
    with pytest.raises(KeyboardInterrupt if gently else Killed):
        run(step, checkpoint=path)
    assert outcome(run(10**9, resume=True, checkpoint=path)) == whole


def test_another_game_is_refused(tmp_path):
    path = tmp_path / "game"
    played(checkpoint=path)
    with pytest.raises(ValueError, match=r"another run: game.weight was 0.5, now 0.25\."):
        played(checkpoint=path, resume=True, penalty=0.25)
    with pytest.raises(ValueError, match=r"another run: .*game\.critic was 'nonsaturating_critic'"):
        played("wgan-gp", checkpoint=path, resume=True)
    with pytest.raises(ValueError, match=r"another run: critic_steps was 1, now 2\."):
        played(checkpoint=path, resume=True, critic_steps=2)
