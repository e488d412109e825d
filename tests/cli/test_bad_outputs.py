"""Places that cannot be written to; what was there before stays."""

import os
import stat
from pathlib import Path

import pytest

from anabranch import load
from anabranch.cli import fitting

from .conftest import TINY

ENDINGS = {"fit": "m", "predict": "o.csv", "score": "o.parquet", "sample": "o.csv", "report": "r"}


def arguments(command, files, model, output):
    data = [] if command == "sample" else [files / "t.csv"]
    fitted = ["-k", 3, *TINY] if command == "fit" else []
    return [command, *([] if command == "fit" else [model]), *data, "-o", output, *fitted]


@pytest.fixture
def full_disk(tmp_path):
    """A function that gives a device of that name on which every write says that it is full."""

    def make(name):
        path = tmp_path / name
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 7))
            path.write_bytes(b"x")
        except PermissionError:
            path.unlink(missing_ok=True)
        except OSError:
            return path
        return Path("/dev/full")

    return make


@pytest.mark.parametrize("command", ENDINGS)
def test_a_missing_folder(fail, files, model, tmp_path, command):
    path = tmp_path / "no" / ENDINGS[command]
    sentence = fail(*arguments(command, files, model, path))
    assert f"cannot write {path}: there is no folder {tmp_path}/no" in sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ENDINGS)
def test_a_folder_instead_of_a_file(fail, files, model, tmp_path, command):
    path = tmp_path / ENDINGS[command]
    path.mkdir()
    assert f"cannot write {path}: it is a folder" in fail(*arguments(command, files, model, path))


@pytest.mark.parametrize("command", ENDINGS)
def test_a_read_only_folder(fail, files, model, tmp_path, command, monkeypatch):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):  # the superuser may write anywhere
        allowed = os.access
        monkeypatch.setattr(
            os, "access", lambda path, mode: Path(path) != folder and allowed(path, mode)
        )
    path = folder / ENDINGS[command]
    sentence = fail(*arguments(command, files, model, path))
    assert f"cannot write {path}: no permission to write in {folder}" in sentence
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", ENDINGS)
def test_a_full_disk(fail, files, model, full_disk, tmp_path, command):
    path = full_disk(ENDINGS[command])
    sentence = fail(*arguments(command, files, model, path))
    assert "No space left on device" in sentence
    assert str(path) in sentence
    assert not stat.S_ISREG(path.stat().st_mode), "the device was replaced"
    assert [p.name for p in tmp_path.iterdir()] in ([], [path.name])


def test_a_fit_survives_a_full_disk(fail, succeed, files, full_disk, tmp_path):
    """The finished fit waits in its checkpoint until there is room."""
    common = ["fit", files / "t.csv", "-k", 3, *TINY]
    kept = tmp_path / "kept"
    sentence = fail(*common, "-o", full_disk("m"), "--checkpoint", kept)
    assert f"the finished fit is kept in {kept}" in sentence
    succeed(*common, "-o", tmp_path / "resumed", "--checkpoint", kept, "--resume")
    assert not kept.exists()
    succeed(*common, "-o", tmp_path / "whole")
    for a, b in zip(
        *(load(tmp_path / n).model_.parameters() for n in ("resumed", "whole")), strict=True
    ):
        assert bool((a == b).all())


@pytest.mark.parametrize("command", ["predict", "score", "sample"])
def test_an_unknown_ending(fail, files, model, tmp_path, command):
    path = tmp_path / "o.xlsx"
    sentence = fail(*arguments(command, files, model, path))
    assert f"cannot write {path}: the name must end in .csv" in sentence


def test_an_older_model_stays_when_a_fit_fails(fail, files, tmp_path, monkeypatch):
    (tmp_path / "m").write_text("old")

    def broken(*_):
        raise OSError(28, "No space left on device", str(tmp_path / "m"))

    monkeypatch.setattr(fitting, "save", broken)
    fail(*arguments("fit", files, None, tmp_path / "m"))
    assert (tmp_path / "m").read_text() == "old"
    assert (tmp_path / "m.checkpoint").exists()


def test_samples_do_not_overwrite_a_column_of_the_data(fail, files, tmp_path, succeed):
    text = (files / "t.csv").read_text().replace("width", "component")
    (tmp_path / "t.csv").write_text(text)
    succeed(
        "fit",
        tmp_path / "t.csv",
        "-o",
        tmp_path / "m",
        "--columns",
        "component,height",
        "--max-epochs",
        0,
    )
    sentence = fail("sample", tmp_path / "m", "-o", tmp_path / "o.csv", "--with-component")
    assert "a column 'component' of their own" in sentence
