"""The figures show the numbers that they are given."""

import base64
import io

import numpy as np
import pytest
from matplotlib.image import imread
from scipy.integrate import trapezoid
from scipy.stats import entropy

from anabranch.reports import palette
from anabranch.reports.figures import (
    agreement,
    confidence_figure,
    contingency_figure,
    density_map,
    image_strip,
    line_figure,
    log_density_histogram,
    plane_figure,
    projection_figure,
    sizes_figure,
    training_figure,
)
from anabranch.reports.grid import evaluate_grid, window
from anabranch.reports.projection import project


def pixels_of(uri):
    return imread(io.BytesIO(base64.b64decode(uri.split(",")[1])), format="png")[..., :3]


def test_region_colors_show_the_winner_and_its_certainty():
    posterior = np.array([[1.0, 0, 0], [0, 0.6, 0.4], [1 / 3, 1 / 3, 1 / 3]])
    certain, unsure, tie = palette.region_colors(posterior).astype(int)
    assert certain.tolist() == np.round(255 * 0.55 + palette.rgb(0) * 0.45).tolist()
    assert (unsure >= np.round(255 * 0.55 + palette.rgb(1) * 0.45)).all()
    assert tie.tolist() == [255, 255, 255]


def test_one_component_colors_everything_fully():
    colors = palette.region_colors(np.ones((2, 2, 1)))
    assert colors.shape == (2, 2, 3)
    assert (colors == colors[0, 0]).all()
    assert colors[0, 0, 0] < 255


def test_sixty_four_components_have_marks_of_their_own():
    plotly_marks = {(palette.color(c), palette.symbol(c)) for c in range(64)}
    paper_marks = {(palette.color(c), palette.marker(c)) for c in range(64)}
    assert len(plotly_marks) == len(paper_marks) == 64


def test_grid_is_indexed_as_a_picture(fitted):
    est, X, _ = fitted(2)
    grid = evaluate_grid(est, X, size=7)
    x, y = grid.axes[0][5], grid.axes[1][2]
    np.testing.assert_allclose(grid.posterior[2, 5], est.predict_proba(np.array([[x, y]]))[0])
    np.testing.assert_allclose(grid.log_density[2, 5], est.score_samples(np.array([[x, y]]))[0])
    assert grid.axes[0][0] < X[:, 0].min() < X[:, 0].max() < grid.axes[0][-1]


def test_window_of_a_constant_has_a_width():
    low, high = window(np.full(4, 1e9))
    assert low < 1e9 < high


def test_line_figure_is_normalised(fitted):
    est, X, _ = fitted(1)
    grid = evaluate_grid(est, X, size=2000)
    fig = line_figure(X[:, 0], est.predict(X), grid, column="<b>")
    bars = [t for t in fig.data if t.type == "bar"]
    curves = [t for t in fig.data if t.type == "scatter"]
    area = sum((np.asarray(t.y) * np.asarray(t.width)).sum() for t in bars)
    assert area == pytest.approx(1)
    for c in range(3):
        area = trapezoid(curves[c].y, curves[c].x)
        assert area == pytest.approx(est.weights_[c], abs=0.02)
    np.testing.assert_allclose(sum(np.asarray(t.y) for t in curves[:3]), curves[3].y, atol=1e-12)
    assert "&lt;b&gt;" in fig.layout.xaxis.title.text


def test_line_figure_of_a_constant_column(fitted):
    est, X, _ = fitted(1)
    fig = line_figure(np.zeros(5), np.zeros(5, dtype=int), evaluate_grid(est, X, size=50))
    bars = fig.data[0]
    assert (np.asarray(bars.y) * np.asarray(bars.width)).sum() == pytest.approx(1)


def test_plane_figure_places_regions_under_the_points(fitted):
    est, X, _ = fitted(2)
    grid = evaluate_grid(est, X, size=40)
    samples, origins = est.sample(90, random_state=1)
    fig = plane_figure(X, est.predict(X), samples, origins, grid)
    left = [t for t in fig.data if t.xaxis == "x"]
    right = [t for t in fig.data if t.xaxis == "x2"]
    assert sum(len(t.x) for t in left) == len(X)
    assert sum(len(t.x) for t in right) == 90
    image = fig.layout.images[0]
    assert (image.x, image.y) == (grid.axes[0][0], grid.axes[1][-1])
    assert image.layer == "below"
    # The first row of pixels is the top, where the second axis is greatest.
    top = palette.region_colors(grid.posterior)[-1] / 255
    np.testing.assert_allclose(pixels_of(image.source)[0], top, atol=1e-6)


def test_far_outliers_do_not_squeeze_the_picture_and_are_counted(fitted):
    est, X, _ = fitted(2)
    X = np.r_[np.tile(X, (5, 1)), [[1e4, 0.0]]]
    grid = evaluate_grid(est, X, size=10)
    assert grid.axes[0][-1] < 100
    samples = np.array([[0.0, 0.0], [0.0, 1e5], [-1e5, 0.0]])
    fig = plane_figure(X, est.predict(X), samples, np.zeros(3, dtype=int), grid)
    titles = [note.text for note in fig.layout.annotations]
    assert titles == [
        "data (1,201 points, 1 beyond the axes)",
        "samples (3 points, 2 beyond the axes)",
    ]


def test_far_outliers_of_a_line_are_counted(fitted):
    est, X, _ = fitted(1)
    values = np.append(np.tile(X[:, 0], 5), 1e4)
    fig = line_figure(values, np.zeros(1201, dtype=int), evaluate_grid(est, X, size=9), column="a")
    assert fig.layout.xaxis.title.text == "a (1 rows are beyond the axis)"


def test_projection_keeps_the_direction_of_greatest_variance():
    rng = np.random.RandomState(0)
    direction = np.array([3.0, 4.0, 0.0]) / 5
    X = 10 * rng.randn(200, 1) * direction + 0.01 * rng.randn(200, 3)
    projected = project(X, X[:5] + 1, scale=False)
    correlation = np.corrcoef(projected.points[:, 0], X @ direction)[0, 1]
    assert abs(correlation) > 0.9999
    shift = projected.samples - projected.points[:5]
    np.testing.assert_allclose(shift - shift[0], 0, atol=1e-9)
    # A step of (1, 1, 1) goes 1.4 along the direction: samples share the centre of the data.
    assert abs(shift[0, 0]) == pytest.approx(direction.sum(), abs=0.01)
    assert "100%" in projected.axis_names[0]


@pytest.mark.parametrize("n", [2, 40])
def test_projection_takes_constant_columns_and_few_rows(n):
    X = np.c_[np.arange(n, dtype=float), np.ones((n, 2))]
    assert np.isfinite(project(X, X).points).all()
    assert np.isfinite(project(np.ones((n, 3)), X).points).all()


def test_tsne_separates_far_blobs_and_places_samples_by_them(fitted):
    _, X, labels = fitted(4)
    projected = project(X[:90], X[90:120], "tsne", random_state=0)
    centers = np.stack([projected.points[labels[:90] == c].mean(axis=0) for c in range(3)])
    distances = np.linalg.norm(projected.samples[:, None] - centers, axis=2)
    assert (distances.argmin(axis=1) == labels[90:120]).all()


def test_projection_figure_has_no_regions(fitted):
    est, X, _ = fitted(4)
    fig = projection_figure(project(X, X), est.predict(X), est.predict(X))
    assert len(fig.layout.images) == 0
    assert "variance" in fig.layout.xaxis.title.text


def test_unknown_projection_is_named():
    with pytest.raises(ValueError, match=r"projection: got 'umap'.*'pca', 'tsne'"):
        project(np.zeros((3, 3)), np.zeros((3, 3)), "umap")


def test_density_map_has_the_grid_and_a_floor(fitted):
    est, X, _ = fitted(2)
    grid, log_density = evaluate_grid(est, X, size=30), est.score_samples(X)
    z = np.asarray(density_map(grid, log_density).data[0].z)
    floor = np.quantile(log_density, 0.005) - 3
    np.testing.assert_allclose(z, np.maximum(grid.log_density, floor), rtol=1e-6)
    assert z.min() == pytest.approx(floor)


def test_log_density_histogram_counts_and_says_what_is_outside():
    data = np.r_[np.linspace(-2, 0, 400), -1e6, -np.inf, np.nan]
    fig = log_density_histogram(data, np.linspace(-2, 0, 400), bins=10)
    outside = [int(w) for w in fig.layout.xaxis.title.text.split() if w.isdigit()]
    assert len(outside) == 2
    for trace, n, missing in zip(fig.data, (403, 400), outside, strict=True):
        share = np.asarray(trace.y)[1:-1:2].sum() / 100
        assert share == pytest.approx((n - missing) / n)
    assert outside[0] >= 3


def test_training_figure_has_what_was_recorded(history):
    fig = training_figure(history)
    by_name = {t.name: t for t in fig.data}
    assert list(by_name["train_loss"].y) == [2.0, 1.0, 0.5, 0.4]
    assert np.isnan(by_name["nll"].y[1])
    lowest = next(t for t in fig.data if t.name.startswith("lowest"))
    assert (lowest.x[0], lowest.y[0]) == (2, 1.5)
    assert "odd&lt;b&gt;" in by_name
    assert "note" not in by_name


def test_panels_of_several_curves_have_legends_of_their_own():
    epoch = {
        "epoch": 0,
        "step": 9,
        "train_loss": 1.0,
        "validation_loss": 1.0,
        "entropy_q": 0.1,
        "validation_entropy_q": 0.1,
        "validation_live_components": 3.0,
        "validation_effective_components": 2.5,
        "temperature": 1.0,
    }
    fig = training_figure([epoch, epoch])
    assert {t.name: t.legend for t in fig.data if t.showlegend} == {
        "train_loss": "legend",
        "validation_loss": "legend",
        "entropy_q": "legend2",
        "validation_entropy_q": "legend2",
        "live_components": "legend3",
        "effective_components": "legend3",
    }
    assert "Components (validation rows)" in [note.text for note in fig.layout.annotations]
    assert "step" not in {t.name for t in fig.data}


def test_training_figure_of_one_epoch_and_of_one_quantity():
    assert "markers" in training_figure([{"train_loss": 1.0}]).data[0].mode
    assert len(training_figure([{"temperature": 1.0}, {"temperature": 0.5}]).data) == 1


def test_training_figure_without_validation_numbers():
    fig = training_figure([{"validation_nll": float("nan")}, {"validation_nll": float("inf")}])
    assert len(fig.data) == 1


def test_training_figure_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="history: no number"):
        training_figure([{"epoch": 0}])


def test_sizes_figure_counts():
    fig = sizes_figure(np.array([0, 0, 0, 2]), np.array([0.5, 0.3, 0.2]))
    assert list(fig.data[0].y) == [75, 0, 25]
    assert list(fig.data[0].text) == [3, 0, 1]
    assert list(fig.data[1].y) == pytest.approx([50, 30, 20])


def test_agreement_is_the_mean_divergence():
    rng = np.random.RandomState(0)
    q, p = rng.dirichlet(np.ones(4), size=(2, 50))
    found = agreement(np.log(q), np.log(p))
    assert found.mean_kl == pytest.approx(entropy(q, p, axis=1).mean())
    assert found.same_argmax == (q.argmax(1) == p.argmax(1)).mean()
    assert found.mean_confidence_q == pytest.approx(q.max(1).mean())


def test_agreement_counts_infinite_divergences():
    with np.errstate(divide="ignore"):
        q, p = np.log([[0.5, 0.5], [1.0, 0.0]]), np.log([[1.0, 0.0], [1.0, 0.0]])
    found = agreement(q, p)
    assert (found.mean_kl, found.n_infinite, found.median_kl) == (0, 1, 0)


def test_agreement_goes_on_where_probabilities_underflow():
    log_p, log_q = np.array([[-5000.0, 0.0]]), np.array([[-3.0, np.log1p(-np.exp(-3.0))]])
    found = agreement(log_q, log_p)
    assert found.n_infinite == 0
    expected = np.exp(-3.0) * 4997 + np.exp(log_q[0, 1]) * log_q[0, 1]
    assert found.mean_kl == pytest.approx(expected)
    certain = agreement(log_p, np.array([[-9000.0, 0.0]]))
    assert certain.mean_kl == 0


def test_confidence_figure_keeps_rows_that_round_above_one():
    p = np.array([[1 + 1e-7, 0.0], [0.5, 0.5]])
    fig = confidence_figure(None, p, bins=4)
    assert len(fig.data) == 1
    assert np.asarray(fig.data[0].y)[1:-1:2].tolist() == [0, 0, 50, 50]


def test_contingency_figure_writes_counts_and_escapes_names():
    table = np.array([[8, 2], [0, 0]])
    fig = contingency_figure(table, ["<a>", "b"], ["1", "0"])
    np.testing.assert_allclose(fig.data[0].z, [[80, 20], [0, 0]])
    assert fig.data[0].text.tolist() == [["8", "2"], ["", ""]]
    assert list(fig.layout.yaxis.ticktext) == ["&lt;a&gt;", "b"]
    assert list(fig.layout.xaxis.ticktext) == ["1", "0"]


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1), (2, 3, 3)])
def test_image_strip_places_every_pixel(shape):
    images = np.random.RandomState(0).rand(4, *shape)
    pixels = pixels_of(image_strip(images.reshape(4, -1), shape, (0.0, 1.0)))
    assert pixels.shape == (2, 4 * 3 + 3, 3)
    third = images[2] if len(shape) == 3 else images[2][..., None]
    np.testing.assert_allclose(pixels[:, 8:11], np.broadcast_to(third, (2, 3, 3)), atol=1 / 255)


def test_image_strip_of_constant_images_and_of_values_beyond():
    assert pixels_of(image_strip(np.zeros((1, 4)), (2, 2), (0.0, 0.0))).max() == 0
    pixels = pixels_of(image_strip(np.array([[-9.0, 9.0]]), (1, 2), (0.0, 1.0)))
    assert pixels[0, :, 0].tolist() == [0, 1]
