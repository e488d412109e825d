"""Small fits give the numbers that they gave at commit 279495c."""

import pytest

from tests.exactness.cases import CASES, OTHER_KERNELS, moved, record, recorded
from tests.exactness.measures import differences, kernels, same_kernels, steady
from tests.exactness.today import ALL_AGAIN, RECORDED_AGAIN

SHOWN = 8


@pytest.fixture(scope="module")
def then():
    return recorded()


def test_all_that_existed_is_recorded(then):
    assert set(then["cases"]) == set(CASES)
    assert {case.system for case in CASES.values()} == set(then["systems"])


def test_the_kernels_are_those_of_the_recording(then):
    """Where they are not, the numbers can be compared only roughly: this says so."""
    if not same_kernels(then):
        was = {name: then[name] for name in kernels()}
        pytest.skip(f"numbers are compared to {OTHER_KERNELS}: was {was}, is {kernels()}")


@pytest.mark.parametrize("name", CASES)
def test_the_numbers_have_not_moved(then, name):
    lines = moved(name, then, record(name))
    assert not lines, "\n".join(
        [f"{len(lines)} numbers have moved since {then['commit']}, such as", *lines[:SHOWN]]
    )


def test_a_number_that_has_moved_is_named():
    was = {"scores": [1.0, 200.0], "steps": 3}
    assert list(differences(was, {"scores": [1.0, 200.0001], "steps": 3}, 1e-6, "maf")) == []
    found = {"scores": [1.00001, 201.0], "steps": 4}
    assert list(differences(was, found, 1e-6, "maf")) == [
        "maf, scores[0]: was 1.0, is 1.00001, apart by 1e-05",
        "maf, scores[1]: was 200.0, is 201.0, apart by 1",
        "maf, steps: was 3, is 4, apart by 1",
    ]
    assert list(differences(was, {"scores": [1.0], "steps": 3}, 1e-6, "maf")) == [
        "maf, scores: was 2 long, is 1"
    ]
    assert list(differences([float("nan")], [0.0], 1e-6, "maf")) == [
        "maf[0]: was nan, is 0.0, apart by nan"
    ]


def test_what_is_steady():
    was = {"parameters": [[3, 0.1, 0.2], [4, 1.0, 2.0]], "scores": [1.0], "draws": [2.0]}
    assert steady(was) == {"parameters": [3, 4], "scores": [1.0]}


def test_what_was_recorded_again_is_there():
    assert set(RECORDED_AGAIN) <= set(CASES)
    assert set(ALL_AGAIN) <= {case.system for case in CASES.values()}
