from typing import NamedTuple

import numpy as np
import pytest

from anabranch.experiments.seeded import Rows, joined, per_seed, table_of_means


class Score(NamedTuple):
    seed: int
    name: str
    acc: float
    clusters: int
    model: object = None


ROWS = Rows([Score(0, "a", 0.5, 3), Score(1, "a", 0.75, 4), Score(0, "b", 0.25, 3)], seconds=2.0)


def test_figures_are_of_the_field_they_name():
    assert ROWS.mean("acc") == pytest.approx(0.5)
    assert ROWS.std("acc") == pytest.approx(np.std([0.5, 0.75, 0.25]))
    assert (ROWS.worst("acc"), ROWS.best("acc")) == (0.25, 0.75)
    assert (ROWS.worst("acc", better="lower"), ROWS.best("acc", better="lower")) == (0.75, 0.25)
    assert ROWS.gain("clusters", over="acc").tolist() == [2.5, 3.25, 2.75]
    with pytest.raises(AttributeError, match="accuracy"):
        ROWS.mean("accuracy")
    with pytest.raises(KeyError, match="more"):
        ROWS.worst("acc", better="more")


def test_rows_are_chosen_by_their_values_and_places():
    assert [row.acc for row in ROWS.where(name="a", clusters=3)] == [0.5]
    assert [row.acc for row in ROWS[1:]] == [0.75, 0.25]
    assert ROWS[-1].acc == 0.25
    assert len(joined([ROWS, ROWS[:1]])) == 4
    with pytest.raises(ValueError, match="at least one"):
        ROWS.where(name="c")


def test_the_table_has_the_fields_for_its_header_and_no_models():
    assert ROWS.table().splitlines() == [
        "seed  name    acc  clusters",
        "0        a  0.500         3",
        "1        a  0.750         4",
        "0        b  0.250         3",
    ]
    assert Rows([Score(0, "a", 3.2e-7, 1)]).table(acc=".1e").splitlines()[1].split() == [
        "0", "a", "3.2e-07", "1",
    ]  # fmt: skip
    named = {"first": ROWS.where(name="a"), "second": ROWS.where(name="b")}
    assert table_of_means("data", named).splitlines() == [
        "data      acc  clusters",
        "first   0.625     3.500",
        "second  0.250     3.000",
    ]


def test_seeds_are_measured_in_their_order_and_timed():
    seen = []

    def one(seed: int, scale: float, *, shift: float = 0.0) -> Score:
        seen.append(seed)
        return Score(seed, "a", seed * scale + shift, 1)

    rows = per_seed((5, 2), one, 2.0, shift=1.0)
    assert seen == [5, 2]
    assert rows.column("acc").tolist() == [11.0, 5.0]
    assert 0 <= rows.seconds < 1
