"""What a run writes while it goes."""

import json
import sys

import pytest

from anabranch.training import FitOptions, fit
from tests.training.toys import Mean, points


def run(**changes):
    settings = {"max_epochs": 3, "min_evaluation_steps": 1, **changes}
    return fit(Mean(), points(2.0), points(2.0), options=FitOptions(**settings))


def test_json_lines_are_the_history(tmp_path):
    path = tmp_path / "log.jsonl"
    result = run(log_path=path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert str(lines) == str(result.history)
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3]
    assert lines[-1]["validation_loss"] < lines[0]["validation_loss"]
    run(log_path=path)
    assert len(path.read_text().splitlines()) == 8  # another run is appended


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = run(tensorboard=tmp_path / "board")
    board = EventAccumulator(str(tmp_path / "board"))
    board.Reload()
    events = board.Scalars("validation_loss")
    assert [e.step for e in events] == [entry["step"] for entry in result.history]
    assert [e.value for e in events] == pytest.approx(
        [entry["validation_loss"] for entry in result.history]
    )
    assert "learning_rate" in board.Tags()["scalars"]


def test_a_bar_only_on_a_terminal(capsys, monkeypatch):
    run()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run()
    assert "3/3" in capsys.readouterr().err
    run(progress=False)
    assert capsys.readouterr().err == ""


def test_a_bar_where_it_is_asked_for(capsys):
    run(progress=True)
    error = capsys.readouterr().err
    assert "3/3" in error
    assert "score=" in error


def test_logs_are_closed_when_a_run_breaks(tmp_path):
    class Broken(Mean):
        def forward(self, batch):
            if self.training:
                raise RuntimeError("broken")
            return super().forward(batch)

    path = tmp_path / "log.jsonl"
    with pytest.raises(RuntimeError, match="broken"):
        fit(Broken(), points(2.0), points(2.0), options=FitOptions(log_path=path))
    assert len(path.read_text().splitlines()) == 1
