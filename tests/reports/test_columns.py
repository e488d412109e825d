"""What sets clusters apart: known truth, and what the page says of it."""

import numpy as np
import pytest
from tests.reports.test_report import Page

from anabranch import GaussianMixture
from anabranch.metrics import column_information
from anabranch.reports import build_report, plot
from anabranch.reports.figures import columns_figure

RANDOM = np.random.RandomState(0)


def test_information_is_that_of_the_joint_table():
    clusters = RANDOM.randint(0, 3, 6000)
    noisy = np.where(RANDOM.rand(6000) < 0.8, clusters, RANDOM.randint(0, 3, 6000))
    X = np.c_[clusters, noisy, RANDOM.randn(6000), np.ones(6000)]
    same = 0.8 + 0.2 / 3
    expected = np.log(3) + same * np.log(same) + (1 - same) * np.log((1 - same) / 2)
    found = column_information(X, clusters)
    assert found == pytest.approx([np.log(3), expected, 0, 0], abs=0.02)
    assert column_information(np.exp(5 * X), clusters) == pytest.approx(found)  # of ranks alone


def test_a_page_says_what_sets_clusters_apart():
    X = RANDOM.randn(300, 4)
    X[200:, 2] += 50
    mixture = GaussianMixture(2, random_state=0).fit(X)
    page = Page(build_report(mixture, X, columns=["a", "b", "far", "d"]))
    assert "has 100 rows (33.3%); farthest from all rows: far 5" in page.text
    assert page.cell("of all") == "far"
    assert "columns" not in Page(build_report(GaussianMixture(1).fit(X), X)).ids


def test_histograms_hold_every_row():
    X, components = np.c_[RANDOM.randn(90), np.zeros(90)], np.arange(90) % 3
    figure = columns_figure(X, components, ["a", "<b>"])
    assert len(figure.data) == 6
    assert sum(sum(trace.y) for trace in figure.data) == 180
    assert "&lt;b&gt;" in figure.layout.annotations[1].text


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_a_plot_of_each_kind(columns):
    X = RANDOM.randn(100, columns)
    X[50:] += 9
    mixture = GaussianMixture(2, random_state=0).fit(X)
    for kind in ("clusters", "density", "columns", "sizes", "responsibilities"):
        assert len(plot(mixture, X, kind=kind).data) > 0
    assert len(plot(mixture, kind="clusters").data) > 0  # of its own samples
    with pytest.raises(ValueError, match="nothing to draw of its training"):
        plot(mixture, X, kind="training")
    with pytest.raises(ValueError, match="kind: got 'some'; expected one of"):
        plot(mixture, X, kind="some")
