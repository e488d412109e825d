"""`fit --snapshots` and `report --animation`."""

import base64

import pytest
from PIL import Image

from anabranch import load

from .conftest import TINY


@pytest.fixture(scope="module")
def recorded(files, tmp_path_factory, succeed):
    path = tmp_path_factory.mktemp("recorded") / "m.safetensors"
    command = ("fit", files / "t.csv", "-o", path, "-k", 3, "--columns", "width,height")
    succeed(*command, *TINY, "--snapshots", 3)
    return path


def test_the_animation_is_written_and_shown(recorded, files, tmp_path, succeed):
    page, gif = tmp_path / "r.html", tmp_path / "a.gif"
    said = succeed("report", recorded, files / "t.csv", "-o", page, "--animation", gif)
    assert f"wrote {gif}" in said
    assert f"wrote {page}" in said
    with Image.open(gif) as image:
        assert image.n_frames == len(load(recorded).snapshots_) + 1 > 2
    encoded = base64.b64encode(gif.read_bytes()).decode()
    assert f"data:image/gif;base64,{encoded}" in page.read_text()


def test_a_model_without_snapshots(model, files, tmp_path, fail):
    page, gif = tmp_path / "r.html", tmp_path / "a.gif"
    said = fail("report", model, files / "t.csv", "-o", page, "--animation", gif)
    assert "holds no snapshots" in said
    assert "fit --snapshots 60" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a.png", "ends in .gif"), ("no/a.gif", "there is no folder")],
)
def test_names_that_cannot_be(recorded, files, tmp_path, fail, name, reason):
    command = ("report", recorded, files / "t.csv", "-o", tmp_path / "r.html")
    assert reason in fail(*command, "--animation", tmp_path / name)
    assert list(tmp_path.iterdir()) == []
