"""The page: whole, alone, safe, and true."""

import re
import stat
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import polars
import pytest

from anabranch.reports import build_report
from anabranch.reports.evaluation import evaluate
from anabranch.reports.page import figure_html

EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Tags, ids and visible texts of a page; what is in a script or style is no text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.silent, self.scripts = [], [], False, []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.silent = tag in ("script", "style")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.silent = False

    def handle_data(self, data):
        if not self.silent:
            self.texts.append(data.strip())
        elif self.tags[-1][0] == "script":
            self.scripts[-1] += data

    @property
    def ids(self):
        return [attrs["id"] for _, attrs in self.tags if "id" in attrs]

    @property
    def text(self):
        return " ".join(t for t in self.texts if t)

    def cell(self, name):
        """The text of the cell after the row's name."""
        texts = [t for t in self.texts if t]
        return texts[texts.index(name) + 1]


@pytest.mark.parametrize("n_columns", [1, 2, 5])
@pytest.mark.parametrize("labelled", [False, True])
def test_page_has_its_sections(fitted, history, n_columns, labelled):
    est, X, labels = fitted(n_columns, history=history)
    page = Page(build_report(est, X, labels if labelled else None))
    found = ["summary", "columns", "clusters", "separation", "rivals"]
    judged = ["calibration", "odd", "density", "sizes", "posterior", "training", "settings"]
    expected = [*found, *(["labels"] if labelled else []), *judged]
    assert [i for i in page.ids if "figure" not in i] == expected
    links = [a["href"] for tag, a in page.tags if tag == "a"]
    assert links == [f"#{key}" for key in expected]
    assert len(set(page.ids)) == len(page.ids)
    assert ("regions of the posterior are not drawn" in page.text) == (n_columns > 2)


def test_summary_is_of_all_rows(fitted):
    est, X, labels = fitted(2)
    page = Page(build_report(est, X, np.where(labels == 0, 0, -1), max_points=50))
    assert page.cell("rows") == "240"
    assert page.cell("components") == "3"
    assert page.cell("mean log-likelihood").startswith(f"{est.score_samples(X).mean():.4f} nats")
    assert page.cell("rows with a known label") == "80"
    assert "50 of 240 rows, chosen at random, are drawn" in page.text
    assert "bits per dimension" not in page.text


def test_a_bound_is_called_a_bound(fitted):
    est, X, _ = fitted(2)
    est.n_score_samples = 30
    page = Page(build_report(est, X))
    score = page.cell("mean log-likelihood, bound by 30 draws")
    assert score.startswith(f"{est.score_samples(X).mean():.4f} nats")


def test_labels_are_compared_where_known(fitted):
    est, X, labels = fitted(2)
    page = Page(build_report(est, X, np.where(np.arange(240) < 90, labels, -1)))
    assert "Over the 90 of 240 rows whose label is known" in page.text
    for name in ("accuracy (ACC)", "normalised mutual information (NMI)"):
        assert page.cell(name) == "1.0000"
    wrong = labels.copy()
    wrong[:24] = (wrong[:24] + 1) % 3
    assert Page(build_report(est, X, wrong)).cell("accuracy (ACC)") == "0.9000"


def test_unknown_labels_only_make_no_section(fitted):
    est, X, _ = fitted(2)
    assert "labels" not in Page(build_report(est, X, np.full(240, -1))).ids


def test_posterior_table(fitted):
    est, X, _ = fitted(2)
    page = Page(build_report(est, X))
    assert page.cell("same most probable component") == "100.00% of rows"
    q, p = est.predict_proba(X, method="network"), est.predict_proba(X)
    assert page.cell("mean highest probability of q") == f"{q.max(1).mean():.4f}"
    assert page.cell("mean highest probability of p") == f"{p.max(1).mean():.4f}"


def test_without_network_and_without_history(fitted):
    est, X, _ = fitted(2, network=False)
    page = Page(build_report(est, X))
    assert "there is no posterior network in this mixture" in page.text
    assert "carries no record of its fit" in page.text


def test_images(fitted):
    est, X, _ = fitted(12)
    page = Page(build_report(est, X, image_shape=(2, 2, 3)))
    assert "images" in page.ids
    pictures = [a for tag, a in page.tags if tag == "img"]
    assert len(pictures) == 2 * 3
    assert all(a["src"].startswith("data:image/png;base64,") for a in pictures)
    bits = -est.score_samples(X).mean() / 12 / np.log(2)
    assert page.cell("bits per dimension").startswith(f"{bits:.4f}")


def test_component_without_rows_has_samples_only(fake):
    rng = np.random.RandomState(0)
    est = fake(2).fit(np.r_[rng.randn(50, 4), 9 + rng.randn(50, 4)])
    lone = rng.randn(20, 4)
    page = Page(build_report(est, lone, image_shape=(2, 2)))
    assert len([a for tag, a in page.tags if tag == "img"]) == 3
    assert "none" in page.texts
    assert re.search(r"No row belongs to component [01]\.", page.text)


def test_user_texts_are_escaped(fitted, history):
    history[0][EVIL] = 3.0
    est, X, labels = fitted(2, history=history)
    html = build_report(
        est, X, labels, title=EVIL, columns=[EVIL, "b"], label_names=[EVIL, "c", "d"]
    )
    plain = Page(build_report(est, X, labels, title="a", columns=["a", "b"]))
    page = Page(html)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert not any(attr.startswith("on") for _, attrs in page.tags for attr in attrs)
    # plotly reads HTML in its texts: there the name must be escaped inside the JSON too.
    own_scripts = [s for s in page.scripts if "newPlot(" in s and len(s) < 10**6]
    assert any("lt;script" in s for s in own_scripts)
    assert not any(r"\u003cscript" in s or r"\u003cimg" in s for s in own_scripts)


def test_settings_are_shown_and_escaped(fitted):
    est, X, _ = fitted(2)
    html = build_report(est, X)
    assert "Settings of FakeMixture" in html
    assert "&lt;img src=x&gt;" in html


def test_nothing_is_loaded_or_sent(fitted, history):
    est, X, labels = fitted(12, history=history)
    page = Page(build_report(est, X, labels, image_shape=(3, 4)))
    for tag, attrs in page.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        assert not re.match(r"(https?:)?//", attrs.get("src", ""))
        assert not re.match(r"(https?:)?//", attrs.get("href", ""))
    policy = next(a["content"] for _, a in page.tags if "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert "http" not in policy
    figures = [s for s in page.scripts if "newPlot(" in s and len(s) < 10**6]
    assert len(figures) == 7
    for script in figures:
        assert '"showSendToCloud": false' in script
        assert "http" not in script
    assert not any("@import" in t or "url(" in t for t in page.texts)


def test_plotly_is_embedded_once_and_the_page_is_small(fitted, history):
    from plotly.offline import get_plotlyjs

    est, X, labels = fitted(2, history=history)
    html = build_report(est, X, labels)
    assert html.count(get_plotlyjs()[:200]) == 1
    large = np.random.RandomState(0).randn(20_000, 2)
    assert len(build_report(est, large)) < 8 * 2**20


def test_same_seed_same_page(fitted):
    est, X, labels = fitted(2)
    first = build_report(est, X, labels, max_points=60, random_state=3)
    assert first == build_report(est, X, labels, max_points=60, random_state=3)
    assert first != build_report(est, X, labels, max_points=60, random_state=4)


def test_global_seed_is_untouched(fitted):
    est, X, _ = fitted(5)
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the state is what is tested
    build_report(est, X)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002 - as above


@pytest.mark.parametrize("frame", [pd.DataFrame, polars.DataFrame])
def test_frames_name_the_columns(fake, fitted, frame):
    _, X, _ = fitted(2)
    table = frame({"length": X[:, 0], "height": X[:, 1]})
    page = Page(build_report(fake(3).fit(table), table))
    assert {"length", "height"} <= set(page.texts)


def test_names_of_the_mixture_serve_arrays(fake, fitted):
    _, X, _ = fitted(2)
    est = fake(3).fit(pd.DataFrame(X, columns=["length", "height"]))
    with pytest.warns(UserWarning, match="feature names"):
        page = Page(build_report(est, X))
    assert {"length", "height"} <= set(page.texts)


def test_rows_for_pictures_are_chosen_from_all(fitted):
    est, X, _ = fitted(2)
    rng = np.random.RandomState(0)
    drawn = evaluate(est, X, max_points=60, random_state=rng).drawn
    assert len(np.unique(drawn)) == 60
    assert 90 < drawn.mean() < 150
    everything = evaluate(est, X, max_points=10**6, random_state=rng).drawn
    assert everything.tolist() == list(range(240))


def test_infinite_samples_are_left_out_and_counted(fitted):
    est, X, _ = fitted(3)
    draw = est.sample

    def sample(*args, **kwargs):
        samples, labels = draw(*args, **kwargs)
        samples[:7] = np.nan
        return samples, labels

    est.sample = sample
    assert "7 samples were not finite and are left out" in Page(build_report(est, X)).text


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("n_columns", [1, 2, 3])
def test_few_rows(fitted, n, n_columns):
    est, X, _ = fitted(n_columns)
    assert "Clusters" in build_report(est, X[:n])


def test_many_components(fake):
    X = np.random.RandomState(0).randn(300, 2)
    assert "component 19" in build_report(fake(20).fit(X), X)


BAD = {
    "width": ({"X": np.zeros((9, 3))}, ValueError, "X: got 3 columns.*fitted to 2"),
    "vector": ({"X": np.zeros(9)}, ValueError, r"X: got shape \(9,\)"),
    "one row": ({"X": np.zeros((1, 2))}, ValueError, r"X: got shape \(1, 2\).*2 rows or more"),
    "columns": ({"columns": ["a"]}, ValueError, "columns: got 1 names; X has 2"),
    "label count": ({"labels": [0, 1]}, ValueError, r"labels: got shape \(2,\).*\(240,\)"),
    "label type": ({"labels": [0.5] * 240}, TypeError, "labels: got float64.*integers"),
    "label value": ({"labels": [-2] * 240}, ValueError, "labels: got -2"),
    "names": (
        {"labels": [2] * 240, "label_names": ["a"]},
        ValueError,
        "label_names: got 1 names; labels go up to 2",
    ),
    "image": ({"image_shape": (3, 3)}, ValueError, r"image_shape: \(3, 3\) makes 9.*2 columns"),
    "channels": ({"image_shape": (1, 1, 2)}, ValueError, "image_shape: .*1 or 3 channels"),
    "half a pixel": ({"image_shape": (4, 0.5)}, ValueError, r"image_shape: got \(4, 0.5\)"),
    "half a point": ({"max_points": 2.5}, ValueError, "max_points: got 2.5; expected an integer"),
    "points": ({"max_points": 1}, ValueError, "max_points: got 1"),
    "projection": ({"projection": "umap"}, ValueError, "projection: got 'umap'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named(fitted, name):
    est, X, _ = fitted(2)
    arguments, error, message = BAD[name]
    with pytest.raises(error, match=message):
        build_report(est, **{"X": X, **arguments})


def test_file_is_the_page(fitted, tmp_path):
    est, X, _ = fitted(2)
    path = tmp_path / "report.html"
    html = build_report(est, X, path=path, title="Äußeres")
    assert path.read_text(encoding="utf-8") == html
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o444


def test_missing_folder_is_told_before_the_work(fitted, tmp_path):
    est, X, _ = fitted(2)
    est.score_samples = None
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        build_report(est, X, path=tmp_path / "none" / "report.html")
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        build_report(est, X, path=tmp_path)


def test_missing_extra_is_named(fitted, monkeypatch):
    est, X, _ = fitted(2)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"needs jinja2: pip install 'anabranch\[report\]'"):
        build_report(est, X)


def test_figure_html_ends_no_script():
    import plotly.graph_objects as go

    fig = go.Figure(layout={"title": "</script><script>alert(1)</script>", "height": 100})
    assert figure_html(fig, "key").count("</script>") == 1


def test_import_is_light():
    heavy = ["plotly", "jinja2", "matplotlib", "openTSNE"]
    code = f"import sys, anabranch.reports; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
