"""The page that docs/make_results.py makes."""

import json
from pathlib import Path

import pytest

from anabranch.experiments import Figure, Outcome, results, run_experiment, write_result

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(make_results, calls, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "commit", lambda: "abc")
    folder = tmp_path / "results"
    run_experiment("coin-flips", out=folder)
    figures = [
        Figure("ratio a|b", 3.25, target=4.0, better="higher"),
        Figure("loss", float("nan"), target=1.0, better="lower"),
    ]
    write_result("bench-w1", Outcome(figures, {"b": 1, "a": 2}), [0], 12.4, folder)
    (tmp_path / "docs").mkdir()
    return folder


def test_the_page(make_results, folder, tmp_path):
    page = tmp_path / "docs" / "results.md"
    make_results.main([str(folder), str(page)])
    text = page.read_text()
    opening = text.index("| [bench-w1](#bench-w1) | ratio a\\|b | 3.25 | ≥ 4 |")
    assert text.index("## Missed") < opening < text.index("## All")
    assert "| [bench-w1](#bench-w1) | loss | not finite | ≤ 1 |" in text
    assert "Not run yet: `needs-mnist`, `bench-consistency-step`, " in text
    assert "| [bench-w1](#bench-w1) | 0 of 2 |" in text
    assert "| [coin-flips](#coin-flips) | 1 of 1 |" in text
    assert "| heads | 0.5 | ≥ 0.4 | yes |" in text
    assert "| flips | 2 |  |  |" in text
    assert "| ratio a\\|b | 3.25 | ≥ 4 | **no** |" in text
    assert "| loss | not finite | ≤ 1 | **no** |" in text
    assert "`anabranch reproduce coin-flips --budget cpu`" in text
    assert '- settings: `{"a": 2, "b": 1}`' in text
    assert "- time: 12 s" in text
    assert "```text\nheads tails\n1 1\n```" in text
    link = "../results/pictures/coin-flips-coin.png"
    assert f"![coin-flips-coin]({link})" in text
    assert (page.parent / link).exists()
    make_results.main([str(folder), str(page)])
    assert page.read_text() == text


def test_pictures_go_to_the_longest_name(make_results, tmp_path):
    for name in ("a-x.png", "a-b-x.png", "a-b-x.gif", "a-b-x.txt", "c-x.png"):
        (tmp_path / name).touch()
    assert make_results.pictures_by_name(tmp_path, ["a", "a-b"]) == {
        "a": ["a-x.png"],
        "a-b": ["a-b-x.gif", "a-b-x.png"],
    }


def changed(folder, **values):
    """The file of the coins, with other values."""
    path = folder / "coin-flips.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"commit": "abc+dirty"}, r"coin-flips: it is of the commit abc\+dirty"),
        ({"commit": None}, "it is of the commit None"),
        ({"seeds": [0, 1]}, r"it has the seeds \[0, 1\], not \[0, 1, 2\]"),
        ({"name": "coins"}, "coins: there is no such experiment"),
        (
            {"figures": [Figure("heads", 0.5, target=0.3, better="higher").to_json()]},
            "lacks the figure flips\n.*lacks the figure heads ≥ 0.4\n.*no figure heads ≥ 0.3",
        ),
    ],
)
def test_results_that_are_refused(make_results, folder, tmp_path, values, said):
    changed(folder, **values)
    with pytest.raises(ValueError, match=said):
        make_results.make_page(folder, tmp_path / "docs" / "results.md")


def test_no_results(make_results, tmp_path):
    assert "There are no results yet." in make_results.make_page(
        tmp_path / "no", tmp_path / "page.md"
    )


@pytest.mark.parametrize("content", ["", "[1]", json.dumps({"name": "x"})])
def test_files_that_are_no_results(make_results, tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ValueError, match=r"x\.json is not"):
        make_results.make_page(tmp_path, tmp_path / "page.md")


def test_tables_of_other_pages_are_filled(make_results, folder, tmp_path):
    figures = [Figure(f"{d}, {m}, nats", d + m / 8) for d in (1, 2) for m in (3, 4)]
    outcome = Outcome([*figures[:-1], Figure("seconds", 1.0)], {})
    write_result("bench-toy", outcome, [0], 1.0, folder)
    other = tmp_path / "docs" / "guide.md"
    other.write_text(
        "Before.\n<!-- table: bench-toy (\\d), (\\d), nats -->\nold\n"
        "<!-- end of table -->\nAfter.\n"
    )
    make_results.main([str(folder), str(tmp_path / "docs" / "results.md")])
    text = other.read_text()
    assert text.startswith("Before.\n<!-- table: bench-toy")
    assert (
        "-->\n|  | 3 | 4 |\n| --- | --- | --- |\n| 1 | 1.375 | 1.5 |\n| 2 | 2.375 |  |\n<!--"
        in text
    )
    assert text.endswith("<!-- end of table -->\nAfter.\n")
    assert "old" not in text


def test_a_table_without_figures_is_an_error(make_results, folder):
    with pytest.raises(ValueError, match="bench-w1 has no figure like 'nothing"):
        make_results.fill_tables(
            "<!-- table: bench-w1 nothing(a)(b) -->\n<!-- end of table -->", folder
        )


def test_a_table_of_what_was_not_run_says_so(make_results, folder):
    text = make_results.fill_tables("<!-- table: w9 (a)(b) -->\n1\n<!-- end of table -->", folder)
    assert text == "<!-- table: w9 (a)(b) -->\n`w9` was not run yet.\n<!-- end of table -->"


def test_the_tables_in_the_documentation_are_those_of_the_results(make_results):
    for page in (ROOT / "docs").rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert make_results.fill_tables(text, ROOT / "results") == text, page.name
