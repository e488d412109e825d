"""The page that docs/make_results.py makes."""

import importlib.util
import json
from pathlib import Path

import pytest

from anabranch.experiments import Figure, run_experiment, write_result

SCRIPT = Path(__file__).parents[2] / "docs" / "make_results.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_results", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(calls, tmp_path):
    results = tmp_path / "results"
    run_experiment("coin-flips", out=results)
    figures = [
        Figure("ratio a|b", 3.25, target=4.0, better="higher"),
        Figure("loss", float("nan"), target=1.0, better="lower"),
    ]
    write_result("bench-w1", figures, {"b": 1, "a": 2}, [0], 12.4, results)
    (tmp_path / "docs").mkdir()
    return results


def test_the_page(script, folder, tmp_path):
    page = tmp_path / "docs" / "results.md"
    script.main([str(folder), str(page)])
    text = page.read_text()
    assert "| [bench-w1](#bench-w1) | 0 of 2 |" in text
    assert "| [coin-flips](#coin-flips) | 1 of 1 |" in text
    assert "| heads | 0.5 | ≥ 0.4 | yes |" in text
    assert "| flips | 2 |  |  |" in text
    assert "| ratio a\\|b | 3.25 | ≥ 4 | **no** |" in text
    assert "| loss | not finite | ≤ 1 | **no** |" in text
    assert "`anabranch reproduce coin-flips --budget cpu`" in text
    assert '- settings: `{"a": 2, "b": 1}`' in text
    assert "- time: 12 s" in text
    link = "../results/pictures/coin-flips-coin.png"
    assert f"![coin-flips-coin]({link})" in text
    assert (page.parent / link).exists()
    script.main([str(folder), str(page)])
    assert page.read_text() == text


def test_pictures_go_to_the_longest_name(script, tmp_path):
    for name in ("a-x.png", "a-b-x.png", "a-b-x.gif", "a-b-x.txt", "c-x.png"):
        (tmp_path / name).touch()
    assert script.pictures_by_name(tmp_path, ["a", "a-b"]) == {
        "a": ["a-x.png"],
        "a-b": ["a-b-x.gif", "a-b-x.png"],
    }


def test_no_results(script, tmp_path):
    assert "There are no results yet." in script.make_page(tmp_path / "no", tmp_path / "page.md")


@pytest.mark.parametrize("content", ["", "[1]", json.dumps({"name": "x"})])
def test_files_that_are_no_results(script, tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ValueError, match=r"x\.json is not"):
        script.make_page(tmp_path, tmp_path / "page.md")


def test_tables_of_other_pages_are_filled(script, folder, tmp_path):
    figures = [Figure(f"{d}, {m}, nats", d + m / 8) for d in (1, 2) for m in (3, 4)]
    write_result("toy", [*figures[:-1], Figure("seconds", 1.0)], {}, [0], 1.0, folder)
    other = tmp_path / "docs" / "guide.md"
    other.write_text(
        "Before.\n<!-- table: toy (\\d), (\\d), nats -->\nold\n<!-- end of table -->\nAfter.\n"
    )
    script.main([str(folder), str(tmp_path / "docs" / "results.md")])
    text = other.read_text()
    assert text.startswith("Before.\n<!-- table: toy")
    assert (
        "-->\n|  | 3 | 4 |\n| --- | --- | --- |\n| 1 | 1.375 | 1.5 |\n| 2 | 2.375 |  |\n<!--"
        in text
    )
    assert text.endswith("<!-- end of table -->\nAfter.\n")
    assert "old" not in text


def test_a_table_without_figures_is_an_error(script, folder):
    with pytest.raises(ValueError, match="bench-w1 has no figure like 'nothing"):
        script.fill_tables("<!-- table: bench-w1 nothing(a)(b) -->\n<!-- end of table -->", folder)


def test_the_tables_in_the_documentation_are_those_of_the_results(script):
    for page in (SCRIPT.parent).rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert script.fill_tables(text, SCRIPT.parents[1] / "results") == text, page.name
