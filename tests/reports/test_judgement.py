"""Whether to believe clusters: what the page says where the truth is known."""

import shutil

import numpy as np
import pandas as pd
import pytest
from tests.reports.test_report import Page

from anabranch import FlowMixture, GaussianMixture
from anabranch.reports import build_report
from anabranch.reports.evaluation import evaluate
from anabranch.reports.separation import valleys_between
from anabranch.reports.stability import _judgement

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)


def valley(apart, columns, n=1500):
    """What is found between two round Gaussians so many standard deviations apart."""
    random = np.random.RandomState(1)
    X = random.randn(n, columns)
    X[: n // 2, 0] += apart
    start = np.zeros((2, columns))
    start[0, 0] = apart
    mixture = GaussianMixture(2, means_init=start, covariance_type="tied", random_state=0).fit(X)
    return valleys_between(mixture, evaluate(mixture, X, max_points=n, random_state=random))[0, 1]


def test_valleys_are_as_deep_as_those_of_gaussians():
    # from the modes at 0 and d down to the middle: log (1 + exp(-d^2/2)) / (2 exp(-d^2/8))
    truth = np.log1p(np.exp(-8)) + 2 - np.log(2)
    assert valley(4.0, 1) == pytest.approx(truth, abs=0.3)
    assert valley(4.0, 6) == pytest.approx(truth, abs=0.6)
    assert valley(1.0, 6) < np.log(1.5)


def test_a_cloud_that_is_cut_is_called_one():
    X = np.random.RandomState(0).randn(300, 3)
    page = Page(build_report(GaussianMixture(2, random_state=0).fit(X), X))
    assert "Warning: between components 0 and 1 there is a way" in page.text
    X[150:] += 20
    page = Page(build_report(GaussianMixture(2, random_state=0).fit(X), X))
    assert "each is a hill of its own" in page.text
    assert "0.0% would be given to a component" in page.text


@pytest.fixture(scope="module")
def table():
    random = np.random.RandomState(0)
    kind = random.randint(2, size=150)
    frame = pd.DataFrame(
        {
            "height": random.randn(150) + 9.0 * kind,
            "sex": np.where(random.rand(150) < 0.5, "f<b>", "m"),
            "visits": random.poisson(20, 150),
        },
        index=[f"p{i}" for i in range(150)],
    )
    frame.loc["p3", "height"] = None
    frame.loc["p4", "height"] = 400.0
    mixture = FlowMixture(
        2, flow=None, columns="auto", missing="marginal", max_epochs=4, random_state=0
    )
    with pytest.warns(UserWarning, match="stand apart"):
        mixture.fit(frame)
    return mixture, frame, build_report(mixture, frame, kind)


def test_a_report_of_a_table_as_it_is(table):
    page = Page(table[2])
    assert "in 1 rows" in page.cell("missing cells")
    assert page.cell("row") == "of samples as odd"
    assert "p4" in page.texts
    assert "height 400 (" in page.text
    assert "f&lt;b&gt;" in table[2]
    assert "f<b>" not in table[2]
    assert '"p9, component' in table[2]  # under the pointer


def test_figures_of_rows_held_out_are_of_these(table):
    mixture, frame, html = table
    held_out = mixture.held_out_rows(frame)
    assert len(held_out) == 22
    page, scores = Page(html), mixture.score_samples(frame)[held_out]
    told = page.cell("of the 22 rows held out by the fit")
    assert told.startswith(f"{scores.mean():.4f} nats per row")
    assert page.cell("this mixture") == f"{scores.mean():.3f}"
    other = Page(build_report(mixture, frame[:60]))
    assert "may have been trained" in other.text


def test_gaussians_are_compared_by_the_same_columns(table):
    page = Page(table[2])
    place = page.texts.index("GaussianMixture")
    mean, against = [text for text in page.texts[place + 1 :] if text][:2]
    own = float(page.cell("this mixture"))
    assert float(mean) - own == pytest.approx(float(against.split(" ")[0]), abs=2e-3)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_serves_everybody(table, tmp_path, width):
    playwright = pytest.importorskip("playwright.sync_api")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    (tmp_path / "r.html").write_text(table[2])
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
            )
            page = context.new_page()
            wrong = []
            page.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
            page.goto((tmp_path / "r.html").as_uri())
            page.wait_for_selector("#clusters-figure-1 .main-svg")
            violations = axe.Axe().run(page).response["violations"]
            assert not wrong
            assert [v["id"] for v in violations if v["impact"] in ("serious", "critical")] == []
            assert page.evaluate("document.documentElement.scrollWidth") == width
        browser.close()


def test_other_starts_are_compared(monkeypatch):
    random = np.random.RandomState(0)
    X = random.randn(300, 2)
    page = Page(build_report(GaussianMixture(4, random_state=0).fit(X), X))
    assert "ARI between restarts" in page.text
    for mean, said in ((0.95, "do not depend on luck"), (0.7, "in part"), (0.3, "do not agree")):
        assert said in _judgement(mean)
    X[150:] += 20
    mixture = FlowMixture(2, max_epochs=1, init_params="kmeans", random_state=0).fit(X)
    page = Page(build_report(mixture, X))
    assert "3 starts alone" in page.text
    assert "the clusters do not depend on luck" in page.text
    made = []
    fit = FlowMixture.fit
    monkeypatch.setattr(
        FlowMixture, "fit", lambda own, X: made.append(own.max_epochs) or fit(own, X)
    )
    page = Page(build_report(mixture, X, restarts=2))
    assert made == [1, 1]
    assert "2 fits with other seeds" in page.text
    with pytest.raises(ValueError, match="restarts: got -1"):
        build_report(mixture, X, restarts=-1)
