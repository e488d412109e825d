"""The whole of it in a browser: fit, lasso, label, refit, odd rows, numbers of clusters, export."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from anabranch.data import read_mixed, write_table
from anabranch.problems import Pinwheel

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    # of what Playwright leaves to the collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SECONDS = 120_000
X, _ = Pinwheel().sample_per_component(120, random_state=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explorer")
    write_table(folder / "wings.csv", {"x": X[:, 0], "y": X[:, 1]})
    return folder


@pytest.fixture(scope="module")
def address(folder):
    words = [sys.executable, "-m", "anabranch", "explore", "wings.csv", "--port", "0"]
    with subprocess.Popen(
        [*words, "--no-browser"], stdout=subprocess.PIPE, text=True, cwd=folder
    ) as process:
        assert process.stdout is not None
        yield re.search(r"http\S+", process.stdout.readline())[0]
        process.terminate()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        yield started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture(scope="module")
def page(browser, address):
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.wrong = []
    page.sent = []
    page.on("console", lambda said: said.type == "error" and page.wrong.append(said.text))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("request", lambda request: page.sent.append(request))
    page.goto(address)
    page.wait_for_selector("#map .plotly", timeout=SECONDS)
    return page


def says(page, place, text):
    """Wait until a place of the page says something, and give all that it says."""
    page.wait_for_function(
        "([place, text]) => document.querySelector(place).innerText.includes(text)",
        arg=[place, text],
        timeout=SECONDS,
    )
    return page.inner_text(place)


def fill(page, place, text):
    page.fill(place, text)
    page.press(place, "Tab")


def lasso(page, corners):
    """Draw around corners in shares of the map, and give their place in the data."""
    page.locator("#map").scroll_into_view_if_needed()
    box = page.locator("#map .nsewdrag").first.bounding_box()
    places = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in [*places[1:], places[0]]:
        page.mouse.move(*place, steps=12)
    page.mouse.up()


def test_a_fit_a_lasso_labels_and_a_refit(page, folder):
    fill(page, "#components", "5")
    fill(page, "#epochs", "2")
    page.click("#start")
    says(page, "#fit-said", "model-1.safetensors: done")
    says(page, "#files", "anabranch fit wings.csv")
    page.wait_for_function("document.querySelectorAll('#map .legendtext').length == 5")
    lasso(page, [(0.03, 0.03), (0.5, 0.03), (0.5, 0.97), (0.03, 0.97)])
    page.wait_for_function("parseInt(document.querySelector('#selected').innerText) > 0")
    count = int(page.inner_text("#selected").split()[0])
    # the left half of the map, but for the margins of the plot
    assert 200 < count < 400
    fill(page, "#label", "left")
    page.click("#give")
    says(page, "#label-said", f"left {count}")
    table = read_mixed([folder / "wings.labelled.csv"], label_column="label")
    left = table.labels == 0
    assert left.sum() == count
    assert X[left, 0].max() < X[~left, 0].min() + 0.05, "by the corners, not by what is drawn"
    page.click("#refit")
    says(page, "#fit-said", "model-2.safetensors: done")
    assert "of 600 rows moved" in says(page, "#moved", "model-2")
    says(page, "#files", "--label-column label")
    page.click("#undo")
    says(page, "#label-said", "labels: none")


def test_odd_rows_and_other_colours(page):
    page.select_option("#coloring-choice", "log-density")
    page.wait_for_selector("#map .colorbar")
    page.fill("#share", "0.5")
    assert "3 of 600 rows, 0.5 %, lie below" in says(page, "#odd-said", "0.5 %")
    page.wait_for_function("document.querySelectorAll('#odd-rows tbody tr').length == 3")
    row = int(page.inner_text("#odd-rows tbody tr:first-child td:nth-child(2)"))
    assert np.linalg.norm(X[row]) > np.quantile(np.linalg.norm(X, axis=1), 0.5)
    page.select_option("#coloring-choice", "cluster")
    page.select_option("#x-choice", "between clusters")
    page.wait_for_function(
        "document.querySelector('#map .xtitle').textContent.includes('between clusters 1')"
    )
    page.select_option("#x-choice", "x")


@pytest.mark.slow
def test_numbers_of_clusters_side_by_side(page):
    page.select_option("#flow-choice", "none (Gaussians)")
    fill(page, "#epochs", "0")
    fill(page, "#numbers", "1, 2")
    before = page.locator("#compared tbody tr").count()
    page.click("#compare-start")
    page.wait_for_function(
        "rows => document.querySelectorAll('#compared tbody tr').length == rows",
        arg=before + 2,
        timeout=SECONDS,
    )


def test_wrong_settings_are_answered_in_a_sentence(page):
    fill(page, "#components", "many")
    page.click("#start")
    says(page, "#fit-said", "clusters: 'many' is no number")


def test_nothing_leaves_the_machine_and_little_is_sent(page, address):
    own = address.split("?")[0]
    assert {r.url for r in page.sent if not r.url.startswith((own, "data:", "blob:"))} == set()
    assert max(len(request.post_data or "") for request in page.sent) < 2000
    assert page.wrong == []


def test_another_browser_is_not_let_in(browser, address):
    page = browser.new_context().new_page()
    assert page.goto(address).status == 403


@pytest.mark.parametrize("width", [1280, 390])
def test_no_serious_barriers(page, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(300)
    page.evaluate(axe.axe_script)
    found = page.evaluate("axe.run()")
    serious = [v["id"] for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert serious == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
