"""Labels: few, soft, all, and wrong ones."""

import warnings

import numpy as np
import pandas as pd
import pytest

from anabranch import FlowDensity, FlowMixture, GaussianMixture, load, save
from anabranch.estimators.flow_mixture import METHODS
from anabranch.estimators.labels import check_targets
from anabranch.metrics import clustering_accuracy
from anabranch.problems import TwoCircles
from tests.estimators.data import bent, blobs, moved, quick


def few(labels, n, seed=0):
    """The labels of n rows of each class, -1 elsewhere."""
    known = np.full(len(labels), -1)
    random = np.random.RandomState(seed)
    for k in np.unique(labels):
        rows = random.choice(np.flatnonzero(labels == k), n, replace=False)
        known[rows] = k
    return known


@pytest.mark.parametrize(
    "inference", ["exact", pytest.param("variational", marks=pytest.mark.slow)]
)
def test_ten_labels_a_class_tell_two_circles_apart(inference):
    """Without labels any two halves are as good as the two circles, and likelier to be found."""
    problem = TwoCircles(radial_std=0.05)
    X, labels = problem.sample_per_component(256, random_state=0)
    held_out, truth = problem.sample(1000, random_state=1)
    settings = {"inference": inference, "batch_size": 128}
    blind = (
        FlowMixture(2, **settings, init_params="kmeans", random_state=0).fit(X).predict(held_out)
    )
    mixture = FlowMixture(2, **settings, random_state=0).fit(X, few(labels, 10))
    told = [(mixture.predict(held_out, method=m) == truth).mean() for m in METHODS]
    assert clustering_accuracy(truth, blind) < 0.75
    assert np.mean(told) > 0.9


def test_labels_name_the_components():
    X, labels = blobs()
    for turn in range(3):
        named = (labels + turn) % 3
        assert (quick().fit(X, few(named, 2)).predict(X) == named).all()


@pytest.mark.parametrize("inference", ["exact", "variational"])
def test_all_rows_labelled(inference):
    X, labels = bent()
    mixture = moved(inference=inference).fit(X, labels)
    held_out, truth = bent(seed=1)
    assert (mixture.predict(held_out, method="exact") == truth).mean() > 0.9
    assert (mixture.predict(held_out, method="network") == truth).mean() > 0.9


def test_components_are_counted_from_the_labels():
    X, labels = blobs()
    assert quick(None, max_epochs=1).fit(X, labels).n_components_ == 3
    soft = np.eye(4)[labels]
    assert quick(None, max_epochs=1).fit(X, soft).n_components_ == 4


def test_one_hot_probabilities_are_labels():
    X, labels = bent()
    known = few(labels, 20)
    soft = np.where(known[:, None] == np.arange(2), 1.0, 0.0)
    hard, same = moved().fit(X, known), moved().fit(X, soft)
    assert (hard.score_samples(X) == same.score_samples(X)).all()
    assert (
        hard.predict_proba(X, method="network") == same.predict_proba(X, method="network")
    ).all()


def test_soft_labels_pull_as_far_as_they_say():
    """Rows at one place, said to be 80 % of the second class: q learns just that."""
    X, labels = blobs(300)
    X = np.concatenate([X, np.full((300, 2), 10.0) + 0.1 * np.random.RandomState(0).randn(300, 2)])
    soft = np.concatenate([np.eye(3)[labels], np.tile([0.1, 0.8, 0.1], (300, 1))])
    mixture = quick(max_epochs=100, learning_rate=0.02, patience=100).fit(X, soft)
    q = mixture.predict_proba([[10.0, 10.0]], method="network")
    assert q[0] == pytest.approx([0.1, 0.8, 0.1], abs=0.1)
    assert (mixture.predict(X[:300], method="network") == labels).mean() > 0.95


@pytest.mark.parametrize("inference", ["exact", "variational"])
def test_labels_of_no_row_are_no_labels(inference):
    X, _ = bent()
    plain = moved(inference=inference, max_epochs=3).fit(X)
    told = moved(inference=inference, max_epochs=3).fit(X, np.full(len(X), -1))
    assert (plain.score_samples(X) == told.score_samples(X)).all()


def test_kinds_of_labels():
    X, labels = blobs()
    known = few(labels, 5)
    expected = quick(max_epochs=1).fit(X, known).predict_proba(X)
    for same in (known.tolist(), known.astype(float), pd.Series(known), known[:, None]):
        with np.errstate(all="raise"):
            assert (quick(max_epochs=1).fit(X, same).predict_proba(X) == expected).all()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.ma.masked_array([0, 1, 2, 0], mask=[0, 0, 0, 1]), "y is masked: write -1 where"),
        (np.zeros((4, 2, 2), int), r"y has the shape \(4, 2, 2\), expected"),
        (0, r"y has the shape \(\), expected"),
        ([0, 1, 3, 2], r"labels must be 0\.\.2 for 3 components, and -1 where unknown, got 3"),
        ([0, -2, 5, 9], r"got -2, 5, 9"),
        ([0, 1], "y has 2 entries for 4 rows of X"),
        ([0, 0.5, 1, 2], "y must be integers .*, got fractions or NaN"),
        ([0, np.nan, 1, 2], "y must be integers .*, got fractions or NaN"),
        (np.array(["a", 2, "c", "a"], object), "integers 0.*or text, .*, got both 2 and text"),
        ([1j, 0, 1, 2], r"Unknown label type: y must be integers 0\.\.K-1 or text.*complex"),
        (["a", "b", "c", "d"], r"labels must be 0\.\.2 for 3 components"),
        (np.eye(4), "y has 4 columns for 3 components"),
        (np.full((4, 3), 0.5), "must be probabilities that sum to one, or zeros"),
        (np.array([[2.0, -1.0, 0.0]] * 4), "must be probabilities that sum to one, or zeros"),
        (np.full((4, 3), np.nan), "must be probabilities that sum to one, or zeros"),
    ],
)
def test_labels_that_cannot_be(y, message):
    with pytest.raises(ValueError, match=message):
        check_targets(y, 4, 3)
    with pytest.raises(ValueError, match=message):
        quick().fit(blobs(4)[0], y)


def test_one_component_ignores_labels_and_says_so():
    X, labels = blobs()
    with pytest.warns(UserWarning, match="y has labels up to 2 but n_components=1: y is ignored"):
        told = quick(1, max_epochs=2).fit(X, labels)
    assert (told.score_samples(X) == quick(1, max_epochs=2).fit(X).score_samples(X)).all()


@pytest.mark.parametrize("classes", [[1, 2], [5, 900], [0, 1000]])
@pytest.mark.parametrize("part", [False, True], ids=["all", "some"])
def test_classes_are_numbered_in_their_order(classes, part):
    X, labels = bent()
    known = np.where(np.arange(len(X)) % (3 if part else 1) == 0, labels, -1)
    y = np.where(known < 0, -1, np.array(classes)[labels])
    with pytest.warns(UserWarning, match=f"2 classes {classes[0]}, {classes[1]}: .*classes_ holds"):
        mixture = GaussianMixture().fit(X, y)
    with warnings.catch_warnings(action="error"):
        expected = GaussianMixture().fit(X, known)
    assert mixture.n_components_ == 2
    assert mixture.classes_.tolist() == classes
    assert expected.classes_.tolist() == [0, 1]
    assert (mixture.predict(X) == expected.predict(X)).all()


def test_flow_mixtures_number_classes_and_files_keep_them(tmp_path):
    X, labels = blobs()
    with pytest.warns(UserWarning, match="3 classes 5, 7, 9"):
        mixture = quick(None, max_epochs=1).fit(X, 2 * labels + 5)
    save(mixture, tmp_path / "m")
    assert load(tmp_path / "m").classes_[mixture.predict(X)].tolist() == (2 * labels + 5).tolist()
    assert not hasattr(quick(2, max_epochs=1).fit(X), "classes_")


def test_a_component_without_a_label_gets_no_row_whose_label_is_known():
    X, labels = blobs()
    with pytest.warns(UserWarning, match="all rows have labels, but none is of component 3"):
        mixture = GaussianMixture(4).fit(X, labels)
    assert (mixture.predict(X) == labels).all()
    assert mixture.weights_[3] < 1e-9


@pytest.mark.parametrize(
    "make",
    [
        np.array,
        list,
        lambda y: np.array([None if name == "-1" else name for name in y], dtype=object),
        lambda y: pd.Series(y).replace("-1", np.nan),
        lambda y: pd.Series(y).replace("-1", pd.NA).astype("string"),
        lambda y: pd.Categorical([None if name == "-1" else name for name in y]),
    ],
    ids=["text", "list", "None", "NaN", "NA", "categorical"],
)
def test_classes_have_names(make, tmp_path):
    X, labels = blobs()
    names = np.array(["NA", "01", "1"])[labels]
    y = make(np.where(np.arange(len(X)) % 4 == 0, names, "-1"))
    mixture = GaussianMixture().fit(X, y)
    assert mixture.classes_.tolist() == ["01", "1", "NA"]
    assert (mixture.classes_[mixture.predict(X)] == names).all()
    save(mixture, tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.classes_.tolist() == again.class_names == again.facts()["classes"]
    assert again.classes_.tolist() == ["01", "1", "NA"]


def test_components_without_a_class_have_no_name():
    X, labels = blobs()
    y = np.array(["a", "b", "-1"])[labels]
    mixture = GaussianMixture(4).fit(X, y)
    assert mixture.class_names == ["a", "b", "", ""]
    mixture.name_classes([7, 9])
    assert mixture.class_names == ["7", "9", "", ""]
    for names, said in (([1] * 5, "5 names for 4 components"), ([1, "a"], "integers or text")):
        with pytest.raises(ValueError, match=said):
            mixture.name_classes(names)
    with pytest.raises(TypeError, match="learns from no labels"):
        FlowDensity().name_classes(["a"])


def test_numbers_among_objects_are_numbers():
    X, labels = blobs()
    y = np.where(np.arange(len(X)) % 2, labels, -1)
    objects = np.where(y < 0, None, y.astype(object))
    assert (GaussianMixture().fit(X, objects).means_ == GaussianMixture().fit(X, y).means_).all()
    assert not hasattr(GaussianMixture().fit(X), "class_names_")
    assert GaussianMixture(3).fit(X, y).class_names is None
