"""Fits as processes: their words, their models, stopping them, and what they may not be asked."""

import time

import numpy as np
import pytest

from anabranch.data import write_table
from anabranch.explorer.callbacks import write_report
from anabranch.explorer.desk import Asked, Desk
from anabranch.explorer.jobs import GAUSSIANS, Wish
from anabranch.explorer.project import Project

random = np.random.RandomState(0)
X = np.concatenate([random.randn(60, 2), random.randn(40, 2) + 8])
BOTH = ("x", "y")


@pytest.fixture
def project(tmp_path):
    write_table(tmp_path / "blobs.csv", {"x": X[:, 0], "y": X[:, 1]})
    return Project(tmp_path / "blobs.csv")


@pytest.fixture
def desk(project):
    desk = Desk(project)
    yield desk
    desk.cancel()


def wait(desk, seconds=120.0):
    end = time.monotonic() + seconds
    while desk.look() is not None and desk.is_busy:
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)
    return desk.look()


@pytest.mark.slow
def test_fits_run_one_after_another_and_labels_teach(desk, project):
    desk.ask([Asked(k, BOTH, GAUSSIANS, max_epochs=0) for k in (1, 2)])
    with pytest.raises(ValueError, match="a fit is running"):
        desk.ask([Asked(3, BOTH)])
    job = wait(desk)
    assert job.state == "done", job.said
    assert list(project.models) == ["blobs.model-1.safetensors", "blobs.model-2.safetensors"]
    assert (desk.before, desk.shown) == tuple(project.models)
    assert [entry["epoch"] for entry in job.curve()] == [0]
    # labels that no search for clusters would find
    project.give(np.arange(100) % 2 == 0, "even")
    project.give(np.arange(100) % 2 == 1, "odd")
    desk.ask([Asked(2, BOTH, GAUSSIANS, max_epochs=0, use_labels=True)])
    assert wait(desk).state == "done"
    name = "blobs.model-3.safetensors"
    assert "--label-column label" in desk.command(name)
    assert len(project.moved("blobs.model-2.safetensors", name)) > 10
    assert write_report(desk, "blobs.model-2.safetensors") == "wrote blobs.model-2.report.html"
    models = {f"blobs.model-{k}.safetensors" for k in (1, 2, 3)}
    others = {"blobs.csv", "blobs.labelled.csv", "blobs.model-2.report.html"}
    assert {path.name for path in project.folder.iterdir()} == models | others


def test_a_fit_that_is_stopped_leaves_nothing(desk, project):
    desk.ask([Asked(2, BOTH, "nsf", max_epochs=100_000), Asked(3, BOTH)])
    time.sleep(0.5)
    desk.cancel()
    assert desk.look().state == "cancelled"
    assert not desk.is_busy
    assert [path.name for path in project.folder.iterdir()] == ["blobs.csv"]
    assert project.models == {}


@pytest.mark.slow
def test_a_fit_that_fails_says_why(desk):
    desk.ask([Asked(2, BOTH, "realnvp", "exact", 0), Asked(3, BOTH)])
    desk.project.data.write_text("x,y\n1,2\n", encoding="utf-8")
    desk.cancel()
    desk.ask([Asked(2, BOTH, GAUSSIANS, max_epochs=0)])
    job = wait(desk)
    assert job.state == "failed"
    assert "error:" in job.said


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(0, BOTH), "clusters are 'auto' or 1 to 200, got 0"),
        (Asked(201, BOTH), "clusters are 'auto' or 1 to 200"),
        (Asked("many", BOTH), "clusters are 'auto'"),
        (Asked(2, ()), "at least one column"),
        (Asked(2, ("z",)), "at least one column"),
        (Asked(2, BOTH, max_epochs=-1), "epochs are a number from 0"),
        (Asked(2, BOTH, use_labels=True), "there are no labels yet"),
    ],
)
def test_what_cannot_be_meant_is_refused(desk, asked, said):
    with pytest.raises(ValueError, match=said):
        desk.ask([asked])
    assert desk.look() is None


def test_labels_do_not_teach_how_many_there_are(desk, project):
    project.give(np.arange(100) < 3, "a")
    with pytest.raises(ValueError, match="give one instead of 'auto'"):
        desk.ask([Asked("auto", BOTH, use_labels=True)])


def test_not_many_fits_at_once(desk):
    with pytest.raises(ValueError, match="1 to 8 fits"):
        desk.ask([Asked(2, BOTH)] * 9)


def test_words_say_all_that_was_chosen(tmp_path):
    data, output = tmp_path / "a b.csv", tmp_path / "m"
    wish = Wish(
        data,
        output,
        "auto",
        ["x"],
        GAUSSIANS,
        "variational",
        7,
        "kind",
        use_labels=False,
        mixed=True,
    )
    assert wish.command() == (
        f"anabranch fit '{data}' -o {output} -k auto --columns x --inference variational "
        "--set flow=null --max-epochs 7 --label-column kind --no-use-labels --kind auto "
        "--missing marginal --seed 0"
    )
    with pytest.raises(ValueError, match="comma"):
        Wish(data, output, 2, ["a,b"]).arguments()
