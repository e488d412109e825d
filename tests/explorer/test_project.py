"""What is explored, without a browser: rows in a lasso, labels, models, and what moved."""

import numpy as np
import pytest
from matplotlib.path import Path as Polygon

from anabranch import FlowMixture, GaussianMixture, save
from anabranch.data import read_mixed, write_table
from anabranch.explorer.project import DISCRIMINANT, PRINCIPAL, Project
from anabranch.explorer.selection import drawn_rows, inside, picked
from anabranch.explorer.views import COLORINGS, curve_figure, map_figure, multiples_figure

random = np.random.RandomState(0)
X = np.concatenate([random.randn(60, 2), random.randn(40, 2) + 8])


@pytest.fixture
def path(tmp_path):
    write_table(tmp_path / "blobs.csv", {"x": X[:, 0], "y": X[:, 1]})
    return tmp_path / "blobs.csv"


@pytest.fixture
def project(path):
    return Project(path)


def fitted(project, k, **settings):
    model = GaussianMixture(k, random_state=0, **settings).fit(project.frame[["x", "y"]])
    path = project.next_model()
    save(model, path)
    return project.take(path)


# --- selections -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_lasso_holds_what_matplotlib_says(seed):
    """A star of random radii, whose edges cross no other."""
    random = np.random.RandomState(seed)
    angles = np.sort(random.rand(30)) * 2 * np.pi
    star = (0.3 + random.rand(30, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)
    points = 2.6 * random.rand(4000, 2) - 1.3
    assert (inside(star, points) == Polygon(star).contains_points(points)).all()


@pytest.mark.parametrize(
    "corners",
    [[], [[0, 0], [1, 1]], [[0, 0, 0]] * 3, [[0, 0]] * 201, [[0, 0], [1, np.nan], [1, 1]]],
    ids=["none", "two", "space", "many", "nan"],
)
def test_what_is_no_lasso_is_refused(corners):
    with pytest.raises(ValueError, match=r"lasso|finite"):
        inside(corners, X)


@pytest.mark.parametrize("selection", [None, {}, {"row": -1}, {"row": 3}, {"row": "0"}, [1]])
def test_what_selects_nothing_is_refused(selection):
    with pytest.raises(ValueError, match="no rows are selected"):
        picked(selection, np.zeros((3, 2)))


@pytest.mark.parametrize(("sizes", "most"), [([990, 10], 100), ([500, 500], 99), ([5, 5], 50)])
def test_of_many_rows_some_of_each_group_are_drawn(sizes, most):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    rows = drawn_rows(groups, most)
    assert len(rows) == len(set(rows)) == min(most, len(groups))
    assert np.bincount(groups[rows]).min() >= min(min(sizes), most // 4)


# --- labels ---------------------------------------------------------------------------------------


def test_labels_are_saved_beside_the_data_and_taken_back(project):
    right = inside([[4, 4], [14, 4], [14, 14], [4, 14]], project.plane("x", "y"))
    project.give(right, " far ")
    table = read_mixed([project.labelled_path], label_column=project.labels_name)
    assert table.columns == ["x", "y"]
    assert table.label_names == ["far"]
    assert ((table.labels == 0) == right).all()
    assert right.sum() == 40
    assert np.allclose(table.X.to_numpy(), X)
    project.give(~right, "near")
    project.undo()
    assert project.classes == ["far"]
    project.undo()
    assert project.classes == []
    with pytest.raises(ValueError, match="nothing to undo"):
        project.undo()


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "x" * 101])
def test_labels_that_cannot_be_printed_are_refused(project, name):
    with pytest.raises(ValueError, match="a label is a text"):
        project.give(np.ones(100, bool), name)
    assert not project.labelled_path.exists()


def test_a_column_called_label_stays(tmp_path):
    write_table(tmp_path / "t.csv", {"label": np.arange(3.0), "x": np.arange(3.0)})
    project = Project(tmp_path / "t.csv")
    project.give(np.array([True, False, False]), "a")
    assert read_mixed([project.labelled_path]).columns == ["label", "x", "label_"]


def test_known_labels_are_there_from_the_start(tmp_path):
    write_table(tmp_path / "t.csv", {"x": np.arange(3.0), "kind": np.array(["a", "b", ""])})
    assert Project(tmp_path / "t.csv", "kind").labels.tolist() == ["a", "b", ""]


# --- tables ---------------------------------------------------------------------------------------


def test_columns_are_described(tmp_path):
    (tmp_path / "t.csv").write_text("size,kind\n1,cat\n3,dog\n,cat\n", encoding="utf-8")
    project = Project(tmp_path / "t.csv")
    size, kind = project.described()
    assert size == {"column": "size", "kind": "number", "gaps": "1", "holds": "1 to 3, median 2"}
    assert kind["holds"] == "2 values: cat (2), dog (1)"
    assert not project.is_plain
    assert np.isnan(project.plane("size", "kind")[2, 0])
    assert project.plane("size", "kind")[:, 1].tolist() == [0, 1, 0]
    assert np.isfinite(project.plane(PRINCIPAL, PRINCIPAL)).all()
    with pytest.raises(ValueError, match="no column 'z'"):
        project.plane("z", "kind")


def test_principal_components_are_those_of_scikit_learn(project):
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    expected = PCA(2).fit_transform(StandardScaler().fit_transform(X))
    assert np.allclose(np.abs(project.plane(PRINCIPAL, PRINCIPAL)), np.abs(expected))


def test_axes_between_clusters_part_what_variance_does_not(tmp_path):
    random = np.random.RandomState(0)
    side = np.repeat([0.0, 1.0], 100)
    # both columns vary together for a reason that has nothing to do with the clusters
    common = random.randn(200) * 10
    frame = {"x": common + side, "y": common - side + 0.05 * random.randn(200)}
    write_table(tmp_path / "t.csv", frame)
    project = Project(tmp_path / "t.csv")
    assert (project.plane(DISCRIMINANT, "y") == project.plane(PRINCIPAL, "y")).all()
    name = fitted(project, 2)
    answers = project.answers(name)
    project._answers[name] = answers.__class__(side.astype(int), *list(vars(answers).values())[1:])
    plane = project.plane(DISCRIMINANT, DISCRIMINANT, name)
    gap = lambda z: abs(z[side == 1].mean() - z[side == 0].mean()) / z[side == 0].std()  # noqa: E731
    assert gap(plane[:, 0]) > 5 > gap(project.plane(PRINCIPAL, PRINCIPAL)[:, 0])
    assert abs(np.corrcoef(plane.T)[0, 1]) < 1e-6
    one = fitted(project, 1)
    assert np.isfinite(project.plane(DISCRIMINANT, DISCRIMINANT, one)).all()


# --- models ---------------------------------------------------------------------------------------


def test_answers_are_those_of_the_model(project):
    name = fitted(project, 2)
    model, answers = project.models[name], project.answers(name)
    assert name == "blobs.model-1.safetensors"
    assert (answers.clusters == model.predict(project.frame)).all()
    assert np.allclose(answers.log_density, model.score_samples(project.frame))
    odd = project.odd_rows(name, 0.05)
    assert odd.rows == np.argsort(answers.log_density)[:5].tolist()
    assert (answers.log_density < odd.bound).sum() == odd.count == 5
    with pytest.raises(ValueError, match="between 0 and 1"):
        project.odd_rows(name, 0.0)


def test_clusters_are_matched_before_rows_are_said_to_move(project):
    first, second = fitted(project, 2), fitted(project, 2)
    answers = project.answers(second)
    turned = 1 - answers.clusters
    turned[:3] = answers.clusters[:3]
    project._answers[second] = answers.__class__(turned, answers.certainty, answers.log_density)
    assert project.moved(first, second) == [0, 1, 2]
    assert project.moved(first, first) == []


def test_fits_are_compared(project):
    names = [fitted(project, k) for k in (1, 2)]
    one, two = project.compared(names)
    assert (one["components"], two["components"]) == ("1", "2")
    assert float(two["BIC"]) < float(one["BIC"])
    assert two["ARI with the one above"] == "0.000"


def test_models_of_other_tables_are_refused(project, tmp_path):
    other = GaussianMixture(2).fit(project.frame.rename(columns={"y": "z"}))
    save(other, tmp_path / "other")
    with pytest.raises(ValueError, match="columns that are missing: z"):
        project.take(tmp_path / "other")
    (tmp_path / "none").write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="none"):
        project.take(tmp_path / "none")


@pytest.mark.parametrize("coloring", COLORINGS)
@pytest.mark.parametrize("known", [False, True])
def test_every_row_is_drawn_once(project, coloring, known):
    project.give(np.arange(100) < 7, "few")
    name = fitted(project, 2) if known else None
    figure = map_figure(project, ("x", "y"), coloring, name)
    drawn = np.concatenate([trace.customdata for trace in figure.data])
    assert sorted(drawn) == list(range(100))
    for trace in figure.data:
        assert np.allclose(np.stack([trace.x, trace.y], 1), X[trace.customdata])
    if coloring == "label":
        assert {trace.name: len(trace.x) for trace in figure.data} == {"few": 7, "no label": 93}


def test_above_the_limit_a_sample_is_drawn(project, monkeypatch):
    monkeypatch.setattr("anabranch.explorer.views.MOST_DRAWN", 30)
    figure = map_figure(project, ("x", "y"), "cluster", fitted(project, 2))
    assert sum(len(trace.x) for trace in figure.data) == 30
    assert figure.layout.title.text == "30 of 100 rows are drawn"


def test_curves_rise_where_losses_fall():
    entries = [
        {"step": s, "epoch": s, "train_loss": 3 - s, "validation_nll": 4 - s} for s in (1, 2)
    ]
    training, held_out = curve_figure(entries).data
    assert list(training.y) == [-2, -1]
    assert list(held_out.y) == [-3, -2]


def test_small_maps_stand_side_by_side(project):
    figure = multiples_figure(project, ("x", "y"), [fitted(project, k) for k in (1, 2, 3, 4)])
    assert len(figure.data) == 4
    assert [note.text for note in figure.layout.annotations] == [
        f"{k} components" for k in (1, 2, 3, 4)
    ]


def test_flows_answer_too(project):
    mixture = FlowMixture(2, flow=None, max_epochs=0, random_state=0).fit(project.frame)
    save(mixture, project.next_model())
    name = project.take(project.folder / "blobs.model-1.safetensors")
    assert np.bincount(project.answers(name).clusters).tolist() in ([60, 40], [40, 60])
