"""The explorer's first drawing of many rows, beside what plotly alone takes for the same points.

Both are opened in the same headless Chromium, in turns: `anabranch explore` on a table, and a page
that holds plotly and the points. Reported is the time from the request to the first drawing.
Needs Playwright, and Chromium on the machine.
"""

import functools
import http.server
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from anabranch.data import write_table
from anabranch.experiments import Figure
from anabranch.explorer.project import Project
from anabranch.explorer.views import map_figure
from benchmarks.recording import record

# Milliseconds from the request until points are drawn: asked at each frame of the browser.
DRAWN = """n => new Promise(done => {
  const look = () => {
    const plot = document.querySelector('.js-plotly-plot');
    const traces = plot && plot._fullData ? plot.calcdata || [] : [];
    const points = traces.reduce((sum, each) => sum + (each[0].t ? each[0].trace._length : 0), 0);
    if (points >= n) requestAnimationFrame(() => done(performance.now()));
    else requestAnimationFrame(look);
  };
  look();
})"""


@contextmanager
def explorer(folder: Path) -> Iterator[str]:
    words = [sys.executable, "-m", "anabranch", "explore", "points.parquet", "--port", "0"]
    with subprocess.Popen(
        [*words, "--no-browser"], stdout=subprocess.PIPE, text=True, cwd=folder
    ) as process:
        assert process.stdout is not None
        found = re.search(r"http\S+", process.stdout.readline())
        assert found is not None
        yield found[0]
        process.terminate()


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def alone(folder: Path) -> Iterator[str]:
    """A page of plotly and the points the explorer draws, and nothing else."""
    project = Project(folder / "points.parquet")
    figure = map_figure(project, ("x", "y"), "cluster", None)
    figure.write_html(folder / "alone.html", include_plotlyjs="directory")
    handler = functools.partial(_Silent, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/alone.html"
    finally:
        server.shutdown()
        server.server_close()


def opened(browser: Any, address: str, rows: int) -> float:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(address, wait_until="commit")
    page.wait_for_selector(".js-plotly-plot", timeout=120_000)
    milliseconds = page.evaluate(DRAWN, rows)
    context.close()
    return milliseconds / 1000


def run(rows: int, repeats: int) -> list[Figure]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory(prefix="anabranch-") as name, sync_playwright() as playwright:
        folder, X = Path(name), np.random.default_rng(0).normal(size=(rows, 2))
        write_table(folder / "points.parquet", {"x": X[:, 0], "y": X[:, 1]})
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        took: dict[str, list[float]] = {"explorer": [], "plotly": []}
        with alone(folder) as page:
            for _ in range(repeats):
                # a service of its own for each: what lets a browser in is used up by the first
                with explorer(folder) as address:
                    took["explorer"].append(opened(browser, address, rows))
                took["plotly"].append(opened(browser, page, rows))
                print({name: round(seconds[-1], 2) for name, seconds in took.items()}, flush=True)
        browser.close()
    ours, theirs = (float(np.median(took[name])) for name in took)
    return [
        Figure("rows", rows),
        Figure("first drawing, seconds", ours),
        Figure("plotly alone, seconds", theirs),
        Figure("first drawing, times plotly alone", ours / theirs, 2.0, "lower"),
    ]


if __name__ == "__main__":
    record("bench-explorer-drawing", __doc__, run, settings={}, rows=100_000, repeats=5)
