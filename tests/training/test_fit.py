"""The fit loop against minima and arithmetic that are known."""

import functools
import math
import re

import numpy as np
import pytest
import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from anabranch.training import DivergedWarning, FitOptions, ReduceOnPlateau, fit
from anabranch.training.fit import evaluate
from tests.registry import seeded
from tests.training.toys import Bytes, Mean, Recorder, broken_at, bytes_data, points


def options(**changes):
    standard = {
        "max_epochs": 100,
        "batch_size": 4,
        "learning_rate": 0.1,
        "patience": None,
        "min_evaluation_steps": 1,
        "progress": False,
    }
    return FitOptions(**{**standard, **changes})


def test_it_minimises():
    """Least squares in five dimensions, whose solution is known."""
    X = torch.randn(400, 5, generator=seeded(0))
    true = torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0])

    class Linear(Mean):
        def __init__(self):
            super().__init__()
            self.loc = torch.nn.Parameter(torch.zeros(5))

        def forward(self, batch):
            residual = batch["y"] - batch["x"] @ self.loc
            loss = residual.square().mean()
            return super().forward({"x": residual[:, None] + self.loc})._replace(total=loss)

    model = Linear()
    data = {"x": X, "y": X @ true}
    changes = {"batch_size": 100, "learning_rate": 0.2, "max_epochs": 50}
    result = fit(model, data, options=options(**changes), generator=seeded(0))
    assert torch.allclose(model.loc, true, atol=1e-2)
    assert result.steps == 50 * 4
    assert result.stopped == "max_epochs"
    assert not model.training


def test_the_best_state_comes_back():
    """Training runs through the point that validation likes best."""
    model = Mean()
    result = fit(model, points(2.0), points(1.0), options=options())
    scores = [entry["validation_loss"] for entry in result.history]
    assert result.best_score == min(scores) < 0.01 < scores[-1]
    assert scores[result.best_epoch] == result.best_score
    assert (1.0 - model.loc.item()) ** 2 == pytest.approx(result.best_score)


def test_the_start_competes():
    model = Mean(0.25)
    result = fit(model, points(2.0), points(0.0), options=options(patience=3))
    assert model.loc.item() == 0.25
    assert result.best_epoch == 0
    assert result.best_score == 0.0625
    assert result.stopped == "patience"
    # the fourth evaluation without improvement ends it
    assert [entry["epoch"] for entry in result.history] == [0, 1, 2, 3, 4]


def test_no_epochs_leave_the_start():
    model = Mean(0.25)
    result = fit(model, points(2.0), points(0.0), options=options(max_epochs=0))
    assert (result.steps, result.best_epoch, model.loc.item()) == (0, 0, 0.25)


def test_without_validation_the_training_loss_counts():
    model = Mean()
    result = fit(model, points(2.0), options=options(patience=0, max_epochs=10))
    assert result.best_epoch == 10
    assert result.best_score == min(entry["train_loss"] for entry in result.history[1:])
    assert math.isnan(result.history[0]["train_loss"])


def test_the_monitored_term_decides():
    model = Mean()
    model.factor.fill_(-1.0)  # the loss falls as the error rises
    result = fit(
        model, points(2.0), points(2.0), options=options(monitor="error", max_epochs=5, patience=9)
    )
    assert result.best_epoch == 0
    assert result.history[-1]["validation_loss"] < result.history[0]["validation_loss"]


def test_evaluations_keep_their_distance():
    result = fit(Mean(), points(2.0), options=options(max_epochs=7, min_evaluation_steps=5))
    assert [entry["step"] for entry in result.history] == [0, 6, 12, 14]


def test_every_row_once_an_epoch_in_ever_new_order():
    seen = []

    class Watch(Mean):
        def forward(self, batch):
            if self.training:
                seen.append(batch["x"][:, 0].tolist())
            return super().forward(batch)

    data = {"x": torch.arange(10.0)[:, None]}
    fit(Watch(), data, options=options(max_epochs=3, batch_size=5))
    epochs = [seen[i] + seen[i + 1] for i in (0, 2, 4)]
    assert all(sorted(rows) == list(range(10)) for rows in epochs)
    assert len({tuple(rows) for rows in epochs}) == 3


def test_a_partial_batch_is_dropped_and_a_large_one_shrunk():
    assert fit(Mean(), points(1.0, 11), options=options(max_epochs=2)).steps == 4
    assert fit(Mean(), points(1.0, 3), options=options(max_epochs=2)).steps == 2


@pytest.mark.parametrize(("clip_norm", "expected"), [(0.5, 0.5), (5.0, 4.0), (None, 4.0)])
def test_gradients_are_clipped(clip_norm, expected):
    norms = []
    handle = register_optimizer_step_pre_hook(
        lambda optimizer, *_: norms.append(optimizer.param_groups[0]["params"][0].grad.norm())
    )
    try:
        fit(Mean(), points(2.0), options=options(max_epochs=1, batch_size=8, clip_norm=clip_norm))
    finally:
        handle.remove()
    assert norms[0].item() == pytest.approx(expected)


def test_a_broken_step_changes_nothing_and_is_counted():
    model = Mean()
    recorder = Recorder(model)
    result = fit(
        model,
        points(2.0),
        points(2.0),
        options=options(max_epochs=10),
        schedules=[broken_at(model, {3, 7, 8}), recorder],
    )
    assert result.skipped_steps == 3
    assert result.rollbacks == 0
    before, after = recorder.seen[:-1], recorder.seen[1:]
    assert [t for t in range(19) if before[t] == after[t]] == [3, 7, 8]
    assert result.history[-1]["skipped_steps"] == 3


def test_broken_steps_in_a_row_bring_back_the_last_good_state():
    model = Mean()
    recorder = Recorder(model)
    result = fit(
        model,
        points(2.0),
        points(2.0),
        options=options(max_skipped=3, min_evaluation_steps=8, max_epochs=60),
        schedules=[broken_at(model, {13, 14, 15}), recorder],
    )
    assert (result.skipped_steps, result.rollbacks) == (3, 1)
    assert recorder.seen[13] != recorder.seen[8]
    assert recorder.seen[16] == recorder.seen[8]  # the evaluation after step 8
    rates = [entry["learning_rate"] for entry in result.history]
    assert rates[:2] == [0.1, 0.1]
    assert set(rates[2:]) == {0.05}
    assert result.stopped == "max_epochs"
    assert model.loc.item() == pytest.approx(2.0, abs=0.05)


def test_a_run_that_stays_broken_is_stopped_at_its_best():
    model = Mean()
    recorder = Recorder(model)
    with pytest.warns(DivergedWarning, match=r"diverged at step 16: 6 steps were not finite"):
        result = fit(
            model,
            points(2.0),
            points(2.0),
            options=options(max_skipped=2, max_rollbacks=2),
            schedules=[broken_at(model, set(range(10, 1000))), recorder],
        )
    assert (result.steps, result.skipped_steps, result.rollbacks) == (16, 6, 3)
    assert result.stopped == "diverged"
    assert model.loc.item() == recorder.seen[10]
    assert math.isfinite(result.best_score)


def test_an_infinite_gradient_of_a_finite_loss_is_skipped():
    class Root(Mean):
        def forward(self, batch):
            return super().forward(batch)._replace(total=self.loc.abs().sqrt().sum())

    model = Root(0.0)
    result = fit(model, points(1.0), options=options(max_epochs=1, max_skipped=9))
    assert (result.skipped_steps, model.loc.item()) == (2, 0.0)


def test_the_average_of_the_parameters_is_kept():
    model, after = Mean(), []
    handle = register_optimizer_step_post_hook(lambda *_: after.append(model.loc.item()))
    try:
        result = fit(model, points(2.0), options=options(average=0.6, max_epochs=20))
    finally:
        handle.remove()
    average, after = 0.0, after[: 2 * result.best_epoch]
    for n, value in enumerate(after, 1):
        decay = min(0.6, (1 + n) / (10 + n))
        average = decay * average + (1 - decay) * value
    assert model.loc.item() == pytest.approx(average, abs=1e-5)
    assert abs(average - after[-1]) > 1e-3


def test_schedules_reach_the_model_and_the_history():
    model = Mean()
    plateau = ReduceOnPlateau(factor=0.1, patience=1, floor=0.005)
    result = fit(
        model,
        points(2.0),
        points(-9.0),
        options=options(max_epochs=8),
        schedules=[plateau],
    )
    rates = [entry["learning_rate"] for entry in result.history]
    # validation only gets worse: cut after two evaluations, each time, down to the floor
    expected = [0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.005, 0.005, 0.005]
    assert rates == pytest.approx(expected)


def test_global_random_states_are_left_alone():
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    model, data = Bytes(0), bytes_data()
    fit(model, data, data, options=options(average=0.9, max_epochs=2))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    def final(seed):
        model = Mean()
        data = {"x": torch.randn(40, 1, generator=seeded(0))}
        fit(model, data, options=options(max_epochs=3), generator=seeded(seed))
        return model.loc.item()

    assert final(0) == final(0) != final(1)


def test_compiled_is_the_same_run(monkeypatch):
    """With a back end that changes no arithmetic."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    models = [Mean(), Mean()]
    for model, compile_ in zip(models, (False, True), strict=True):
        fit(model, points(2.0), points(2.0), options=options(max_epochs=5, compile=compile_))
    assert models[0].loc.item() == models[1].loc.item() != 0.0


def test_threads_are_as_before():
    before = torch.get_num_threads()
    fit(Mean(), points(1.0), options=options(max_epochs=1))
    assert torch.get_num_threads() == before


def test_evaluate_weighs_parts_by_their_rows():
    x = torch.randn(10_000, 1, generator=seeded(0)) + torch.arange(10_000)[:, None] / 1e3
    model = Mean().train()
    means = evaluate(model, {"x": x}, 1)
    assert means["loss"] == means["error"] == pytest.approx(x.square().mean().item(), rel=1e-5)
    assert model.training


@pytest.mark.parametrize(
    "data", [{}, {"x": torch.zeros(0, 1)}, {"x": torch.zeros(3, 1), "y": torch.zeros(2)}]
)
def test_data_that_are_none(data):
    with pytest.raises(ValueError, match="equal, positive numbers of rows, got"):
        fit(Mean(), data)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("batch_size", 0),
        ("checkpoint_steps", 0),
        ("min_evaluation_steps", 0),
        ("max_skipped", 0),
        ("average", 1.0),
        ("average", math.nan),
        ("max_epochs", -1),
        ("max_epochs", 1.5),
        ("max_epochs", None),
        ("batch_size", 2.5),
        ("batch_size", True),
        ("patience", -1),
        ("max_rollbacks", -1),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate", "fast"),
        ("weight_decay", -0.1),
        ("clip_norm", -1.0),
        ("clip_norm", 0),
        ("clip_norm", math.nan),
        ("clip_norm", True),
        ("matmul", "slow"),
    ],
)
def test_options_that_cannot_be(setting, value):
    with pytest.raises(ValueError, match=rf"{setting} must be .*, got {re.escape(repr(value))}$"):
        FitOptions(**{setting: value})


def test_options_that_can_be():
    given = FitOptions(batch_size=np.int64(3), patience=None, clip_norm=None, weight_decay=0)
    assert given.batch_size == 3
    assert FitOptions(clip_norm=math.inf, average=np.float32(0.5)).average == 0.5


def test_a_stage_is_listed_and_shown(capsys):
    result = fit(Mean(), points(2.0), options=options(max_epochs=1, progress=True), stage="warm up")
    assert result.stages == ["warm up"]
    assert "warm up: 100%" in capsys.readouterr().err
    assert fit(Mean(), points(2.0), options=options(max_epochs=1)).stages == []
    later = fit(Mean(), points(2.0), options=options(max_epochs=1), stage="train")
    assert later.after(result, result).stages == ["warm up", "warm up", "train"]
    assert later.stages == ["train"]


def test_a_model_without_parameters_is_refused():
    model = Mean()
    model.loc.requires_grad_(False)
    with pytest.raises(ValueError, match="a model must have parameters to train, got none"):
        fit(model, points(2.0))
