"""What tells one run from another."""

import math

import pytest
import torch

from anabranch.training.checkpoint import differences, load_checkpoint, save_checkpoint


@pytest.mark.parametrize(
    ("was", "now", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 1.0}, [("a", 1, 1.0)]),
        ({"a": True}, {"a": 1}, [("a", True, 1)]),
        ({"a": math.nan}, {"a": math.nan}, []),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, [("a", [1, {"b": 2}], [1, {"b": 3}])]),
        ({"a": {"b": {"c": None}}}, {"a": {"b": {"c": 0}}}, [("a.b.c", None, 0)]),
        ({"a": 1}, {"b": 1}, [("b", "absent", 1), ("a", 1, "absent")]),
        ({"a": {"b": 1}}, {"a": 2}, [("a", {"b": 1}, 2)]),
    ],
)
def test_differences_are_named(was, now, found):
    assert list(differences(was, now)) == found


def test_tuples_are_what_the_file_makes_of_them(tmp_path):
    identity = {"hidden": (8, 8), "bounds": {"low": (0.1,)}}
    save_checkpoint(tmp_path / "run", {"identity": identity})
    assert load_checkpoint(tmp_path / "run", identity)["identity"]["hidden"] == [8, 8]


def test_a_message_is_short(tmp_path):
    save_checkpoint(tmp_path / "run", {"identity": {"x": "a" * 500, **dict.fromkeys("pqrs", 1)}})
    with pytest.raises(
        ValueError, match=r"another run: p was 1, now 2; q was .*; and 2 more"
    ) as said:
        load_checkpoint(tmp_path / "run", {**dict.fromkeys("pqrs", 2), "x": "b" * 500})
    assert len(str(said.value)) < 300 + len(str(tmp_path))


def test_a_checkpoint_without_identity_is_of_another_run(tmp_path):
    save_checkpoint(tmp_path / "run", {"epoch": 1})
    with pytest.raises(ValueError, match="another run: seed was absent, now 3"):
        load_checkpoint(tmp_path / "run", {"seed": 3})


@pytest.mark.parametrize("identity", [torch.zeros(2), {"seed": torch.zeros(2)}])
def test_a_tensor_among_plain_values_is_another_run(tmp_path, identity):
    save_checkpoint(tmp_path / "run", {"identity": identity})
    with pytest.raises(ValueError, match="another run"):
        load_checkpoint(tmp_path / "run", {"seed": 3})
