"""Labels: some known, of any kind, of chosen classes."""

import numpy as np
import pandas as pd
import pytest

from anabranch import load
from anabranch.cli.labels import class_codes, number_classes, rows_of_classes

from .conftest import TINY, blobs


@pytest.fixture
def labelled(tmp_path):
    def write(labels):
        X, _ = blobs()
        pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "kind": labels}).to_csv(
            tmp_path / "t.csv", index=False
        )
        return tmp_path / "t.csv"

    return write


def test_few_labels_name_the_components(succeed, labelled, tmp_path):
    _, kinds = blobs()
    turned = np.array([2, 0, 1])[kinds]
    few = np.where(np.arange(90) < 12, turned, -1)
    path = labelled(pd.Series(few).where(few >= 0))  # blanks
    printed = succeed("fit", path, "-o", tmp_path / "m", "-k", 3, "--label-column", "kind", *TINY)
    assert "labels      12 known, used" in printed
    assert "ACC" not in printed
    X, _ = blobs()
    assert (load(tmp_path / "m").predict(pd.DataFrame(X, columns=["a", "b"])) == turned).all()
    printed = succeed(
        "predict", tmp_path / "m", path, "-o", tmp_path / "p.csv", "--label-column", "kind"
    )
    assert "labels  12 known" in printed
    assert "ACC     1.0000" in printed


def test_labels_that_only_judge_do_not_teach(succeed, labelled, tmp_path):
    path = labelled(np.roll(blobs()[1], 1))
    common = [path, "--label-column", "kind", "-k", 3, *TINY]
    succeed("fit", *common, "-o", tmp_path / "taught")
    succeed("fit", *common, "-o", tmp_path / "judged", "--no-use-labels")
    succeed("fit", path, "--columns", "a,b", "-k", 3, *TINY, "-o", tmp_path / "blind")
    frame = pd.DataFrame(blobs()[0], columns=["a", "b"])
    taught, judged, blind = (
        load(tmp_path / name).score_samples(frame) for name in ("taught", "judged", "blind")
    )
    assert np.array_equal(judged, blind)
    assert not np.array_equal(taught, blind)


def test_text_labels_are_named(succeed, labelled, tmp_path):
    path = labelled(np.array(["cat", "dog", "eel"])[blobs()[1]])
    args = ("--label-column", "kind")
    printed = succeed("fit", path, "-o", tmp_path / "m", *args, *TINY)
    assert "cat is component 0, dog is component 1, eel is component 2" in printed
    printed = succeed("predict", tmp_path / "m", path, "-o", tmp_path / "p.csv", *args)
    assert [line.split()[0] for line in printed.splitlines()[-4:-1]] == ["cat", "dog", "eel"]
    written = pd.read_csv(tmp_path / "p.csv")
    assert list(written.columns[:3]) == ["row", "component", "class"]
    assert (written["class"] == np.array(["cat", "dog", "eel"])[written["component"]]).all()


def test_only_some_classes(succeed, labelled, images, tmp_path):
    path = labelled(np.array(["cat", "dog", "eel"])[blobs()[1]])
    args = ("--label-column", "kind", "--classes", "dog,eel")
    printed = succeed("fit", path, "-o", tmp_path / "m", *args, *TINY)
    assert "rows        60" in printed
    assert "dog is component 0, eel is component 1" in printed
    for command in ("predict", "score"):
        succeed(command, tmp_path / "m", path, "-o", tmp_path / "p.csv", *args)
        rows = pd.read_csv(tmp_path / "p.csv")["row"]
        assert np.array_equal(rows, np.flatnonzero(np.arange(90) % 3 > 0))
    succeed("report", tmp_path / "m", path, "-o", tmp_path / "r.html", *args)
    printed = succeed("fit", *images, "-o", tmp_path / "m", "--classes", "9, 4", *TINY)
    assert "4 is component 0, 9 is component 1" in printed


@pytest.mark.parametrize("numbers", [[1, 2, 3], [0, 1, 7]])
def test_classes_outside_the_components_are_numbered(succeed, labelled, tmp_path, numbers):
    path = labelled(np.array(numbers)[blobs()[1]])
    printed = succeed("fit", path, "-o", tmp_path / "m", "--label-column", "kind", "-k", 3, *TINY)
    said = ", ".join(f"{label} is component {k}" for k, label in enumerate(numbers))
    assert said in printed


def test_classes_within_the_components_keep_their_numbers():
    labels = np.array([3, -1, 1])
    same, mapping = number_classes(labels, 5)
    assert (same is labels, mapping) == (True, {})


def test_more_classes_than_components(fail, labelled, tmp_path):
    path = labelled(np.arange(90) % 7)
    sentence = fail("fit", path, "-o", tmp_path / "m", "--label-column", "kind", "-k", 5)
    assert "the labels hold 7 classes, more than the 5 components" in sentence
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.arange(90) % 3 - 2, "labels hold -2"),
        (np.arange(90) % 3 + 0.5, "expected integers or text"),
    ],
)
def test_labels_that_are_none(fail, labelled, tmp_path, labels, said):
    sentence = fail("fit", labelled(labels), "-o", tmp_path / "m", "--label-column", "kind")
    assert said in sentence


def test_an_unknown_label_column(fail, files, model, tmp_path):
    for output, *command in (["m", "fit"], ["o.csv", "predict", model], ["o", "report", model]):
        sentence = fail(*command, files / "t.csv", "-o", tmp_path / output, "--label-column", "kin")
        assert "has no column 'kin'; did you mean 'kind'?" in sentence


def test_classes_that_are_none(fail, files, model, tmp_path):
    for output, *command in (["m", "fit"], ["o.csv", "predict", model], ["o", "report", model]):
        common = [*command, files / "t.csv", "-o", tmp_path / output, "--classes"]
        assert "--classes needs labels" in fail(*common, "1")
        labelled = [*common[:-1], "--label-column", "kind", "--classes"]
        assert "no row has one of the labels 7,8" in fail(*labelled, "7,8")
        assert "names 'cat', but the labels are integers" in fail(*labelled, "cat")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_text_class():
    with pytest.raises(ValueError, match=r"names 'cow', but the labels are 'cat', 'dog'"):
        class_codes("cow", ["cat", "dog"])
    assert rows_of_classes(np.array([0, -1, 1]), "dog", ["cat", "dog"]).tolist() == [
        False,
        False,
        True,
    ]
