"""Outputs are files of their own: nothing that is read, nor another output, also by a link."""

import os

import pytest

from .conftest import TINY


@pytest.fixture
def desk(files, model, tmp_path):
    """A folder with a table and a model, and links to them."""
    for name, source in (("t.csv", files / "t.csv"), ("m.safetensors", model)):
        (tmp_path / name).write_bytes(source.read_bytes())
    (tmp_path / "soft.csv").symlink_to(tmp_path / "t.csv")
    (tmp_path / "folder").symlink_to(tmp_path, target_is_directory=True)
    os.link(tmp_path / "t.csv", tmp_path / "hard.csv")
    os.link(tmp_path / "m.safetensors", tmp_path / "hard.safetensors")
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("name", ["t.csv", "soft.csv", "folder/t.csv", "hard.csv"])
def test_an_output_over_a_table_is_refused(fail, desk, name):
    before = contents(desk)
    tune = ["tune", "-k", 2, "--trials", 1]
    for command in (["fit", "-k", 2, *TINY], tune, ["predict", desk / "m.safetensors"]):
        sentence = fail(*command, desk / "t.csv", "-o", desk / name)
        assert sentence.endswith(f"{name} is an input, too; give two names")
    assert contents(desk) == before


@pytest.mark.parametrize("name", ["m.safetensors", "folder/m.safetensors", "hard.safetensors"])
def test_an_output_over_a_model_is_refused(fail, desk, name):
    before = contents(desk)
    for command in ("predict", "score", "report", "sample"):
        data = [] if command == "sample" else [desk / "t.csv"]
        assert "is an input, too" in fail(command, desk / "m.safetensors", *data, "-o", desk / name)
    program = desk / "m.pt2"
    program.symlink_to(desk / "m.safetensors")
    assert "is an input, too" in fail("export", desk / "m.safetensors", "-o", program)
    program.unlink()
    gif = desk / "m.gif"
    gif.symlink_to(desk / "m.safetensors")
    args = ["report", desk / "m.safetensors", desk / "t.csv", "-o", desk / "r.html"]
    assert "--animation" in fail(*args, "--animation", gif)
    assert contents(desk) == before | {"m.gif": before["m.safetensors"]}


def test_outputs_are_not_one_another(fail, desk):
    before = contents(desk)
    fit = ["fit", desk / "t.csv", "-k", 2, *TINY, "-o", desk / "new"]
    sentence = fail(*fit, "--checkpoint", desk / "folder" / "new")
    assert sentence.endswith("folder/new is --output, too; give two names")
    assert "--checkpoint" in fail(*fit, "--checkpoint", desk / "t.csv")
    log = "fit_options.log_path="
    assert "is an input, too" in fail(*fit, "--set", f"{log}{desk}/t.csv")
    assert "is --output, too" in fail(*fit, "--set", f"{log}{desk}/new")
    assert "is --checkpoint, too" in fail(*fit, "--set", f"{log}{desk}/new.checkpoint")
    assert contents(desk) == before


def test_they_are_compared_before_anything_is_read(fail, tmp_path):
    (tmp_path / "t.csv").write_text("no table")
    for args in (["predict", tmp_path / "no.model"], ["fit"]):
        assert "is an input, too" in fail(*args, tmp_path / "t.csv", "-o", tmp_path / "t.csv")


def test_a_model_is_not_called_like_a_table(fail, desk):
    sentence = fail("fit", desk / "t.csv", "-k", 2, *TINY, "-o", desk / "new.csv")
    assert "new.csv ends like a table, not a model" in sentence
