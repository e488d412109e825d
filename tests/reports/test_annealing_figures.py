"""Curves of losses and accuracies."""

import numpy as np
import pytest

from anabranch.reports.figures import annealing


@pytest.fixture
def drawn(monkeypatch):
    """Keeps the canvas of the picture that is drawn."""
    kept = []
    png = annealing._png
    monkeypatch.setattr(annealing, "_png", lambda canvas: (kept.append(canvas), png(canvas))[1])
    return kept


def test_annealed_runs_are_solid_in_the_colour_of_their_objective(drawn):
    losses = {"EnumY (Bernoulli)": [5.0], "EnumY": [3.0, 1.0], "EnumY*": [4.0, 0.5], "NVIL": [9.0]}
    content = annealing.loss_curves(losses)
    assert content[1:4] == b"PNG"
    assert content == annealing.loss_curves(losses)
    gaussian, bernoulli = drawn[0].axes
    lines = {line.get_label(): line for line in gaussian.get_lines()}
    assert [line.get_linestyle() for line in lines.values()] == ["--", "-", "--"]
    assert lines["EnumY"].get_color() == lines["EnumY*"].get_color() != lines["NVIL"].get_color()
    assert list(lines["EnumY*"].get_xdata()) == [1, 2]
    assert [line.get_label() for line in bernoulli.get_lines()] == ["EnumY (Bernoulli)"]


def test_a_run_that_diverges_does_not_flatten_the_others(drawn):
    flat = np.linspace(0, -1, 99).tolist()
    annealing.loss_curves({"EnumY": flat, "NVIL": [1e6]})
    assert drawn[0].axes[0].get_ylim()[1] < 10


def test_sensitivity_has_a_line_for_each_interval_and_one_for_none(drawn):
    annealing.sensitivity_lines([0.5, 1.0], {"epoch": [0.1, 0.2], "2 epochs": [0.3, 0.4]}, 0.05)
    (axis,) = drawn[0].axes
    values = [list(line.get_ydata()) for line in axis.get_lines()]
    assert values == [[0.1, 0.2], [0.3, 0.4], [0.05, 0.05]]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["0.5", "1"]


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="at least one curve"):
        annealing.loss_curves({})
    with pytest.raises(ValueError, match="'epoch' has 1 values for 2 bounds"):
        annealing.sensitivity_lines([0.5, 1.0], {"epoch": [0.1]}, 0.05)
