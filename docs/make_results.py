"""Makes docs/results.md, the page of all results, from results/*.json.

    python docs/make_results.py [RESULTS] [PAGE]

The same files give the same page. It takes only what the code as it stands says of itself: files
of a clean commit, on the default seeds, with the figures and targets that the experiment states.
Other pages beside it may hold tables of figures, between

    <!-- table: NAME PATTERN -->
    <!-- end of table -->

where NAME is a result and PATTERN a regular expression, whose two groups name the row and the
column of each figure that it matches whole. They are filled in as well; a table whose result is
not there says so.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from targets import made_up_outcome

from anabranch.data import atomic_write
from anabranch.experiments import list_experiments

ROOT = Path(__file__).resolve().parents[1]
INTRODUCTION = """# Results

Every figure on this page comes from a file in `results/`, which one command writes:
`anabranch reproduce NAME`, or `make bench` for the benchmarks. `make results` makes the page, and
refuses files of a tree with changes that no commit holds, of other seeds than the default ones, or
with other figures or targets than the code states.

Seeds from 100 on are for choosing settings: with them, images and bits are judged on a part of
the training data, and never on the test files.
"""
BENCHMARK = "bench-"
RECORDED = re.compile(r'record\(\s*"(bench-[\w-]+)"')
PICTURES = {".png", ".gif"}
MARKS = {True: "yes", False: "**no**", None: ""}
SIGNS = {"higher": "≥ ", "lower": "≤ "}
TABLE = re.compile(r"(<!-- table: (\S+) (.+?) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def make_page(results: Path, page: Path) -> str:
    """The page in Markdown; links to pictures are relative to where it will be."""
    found = [read_result(path) for path in sorted(results.glob("*.json"))]
    if not found:
        return f"{INTRODUCTION}\nThere are no results yet.\n"
    refused = [f"{result['name']}: {why}" for result in found for why in refusals(result)]
    if refused:
        raise ValueError("results to be made again:\n" + "\n".join(refused))
    names = [result["name"] for result in found]
    folder = Path(os.path.relpath(results.resolve() / "pictures", page.resolve().parent))
    pictures = pictures_by_name(results / "pictures", names)
    sections = [section(result, folder, pictures[result["name"]]) for result in found]
    return "\n".join([INTRODUCTION, missed(found), overview(found), not_run(names), *sections])


def refusals(result: dict[str, Any]) -> list[str]:
    """Why a result is not what the code as it stands would give.

    Of benchmarks, which state their targets as they measure, the commit and the seeds are looked
    at alone.
    """
    name, commit = result["name"], result.get("commit")
    found, bench = list_experiments().get(name), name.startswith(BENCHMARK)
    if found is None and not bench:
        return ["there is no such experiment"]
    reasons = []
    if commit is None or commit.endswith("+dirty"):
        reasons.append(f"it is of the commit {commit}, which does not say what made it")
    seeds = list(range(1 if found is None else found.seeds))
    if result["seeds"] != seeds:
        reasons.append(f"it has the seeds {result['seeds']}, not {seeds}")
    if found is not None:
        stated = {_stated(f.to_json()) for f in made_up_outcome(name, result["budget"]).figures}
        recorded = {_stated(figure) for figure in result["figures"]}
        reasons += [f"it lacks the figure {figure}" for figure in sorted(stated - recorded)]
        reasons += [f"the code has no figure {figure}" for figure in sorted(recorded - stated)]
    return reasons


def _stated(figure: dict[str, Any]) -> str:
    return f"{figure['name']} {target(figure)}".strip()


def read_result(path: Path) -> dict[str, Any]:
    """One result file.

    Raises:
        ValueError: where it is no result file.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    needed = {"name", "budget", "figures", "settings", "seeds", "seconds", "machine", "versions"}
    if not isinstance(result, dict) or needed - set(result):
        raise ValueError(f"{path} is not a result file of anabranch")
    return result


def pictures_by_name(folder: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """File names of pictures, NAME-*, for each result; the longest name that fits owns one."""
    pictures: dict[str, list[str]] = {name: [] for name in names}
    for path in sorted(path for path in folder.glob("*") if path.suffix in PICTURES):
        owners = [name for name in names if path.name.startswith(f"{name}-")]
        if owners:
            pictures[max(owners, key=len)].append(path.name)
    return pictures


def missed(results: Sequence[dict[str, Any]]) -> str:
    """The figures that miss their targets."""
    rows = [
        [link(result["name"]), figure["name"], number(figure["value"]), target(figure)]
        for result in results
        for figure in result["figures"]
        if figure["met"] is False
    ]
    told = table(["result", "figure", "value", "target"], rows) if rows else "None.\n"
    return f"## Missed\n\n{told}"


def not_run(names: Sequence[str]) -> str:
    """The experiments and benchmarks that have no result."""
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").glob("*.py"))
    benchmarks = sorted(name for text in sources for name in RECORDED.findall(text))
    left = [name for name in (*list_experiments(), *benchmarks) if name not in names]
    return f"Not run yet: {', '.join(f'`{name}`' for name in left)}.\n" if left else ""


def link(name: str) -> str:
    """To the section of a result."""
    return f"[{name}](#{name})"


def overview(results: Sequence[dict[str, Any]]) -> str:
    """How many targets each result reaches."""
    rows = []
    for result in results:
        met = [figure["met"] for figure in result["figures"] if figure["met"] is not None]
        rows.append([link(result["name"]), f"{sum(met)} of {len(met)}"])
    return f"## All\n\n{table(['result', 'targets met'], rows)}"


def section(result: dict[str, Any], folder: Path, pictures: Sequence[str]) -> str:
    """The figures of one result, how they were made, and its pictures."""
    figures = [
        [f["name"], number(f["value"]), target(f), MARKS[f["met"]]] for f in result["figures"]
    ]
    parts = [
        f"## {result['name']}\n",
        table(["figure", "value", "target", "met"], figures),
        *(["```text", *result["table"], "```\n"] if result.get("table") else []),
        *(f"- {key}: {value}" for key, value in origin(result).items()),
        *(f"\n![{Path(name).stem}]({(folder / name).as_posix()})" for name in pictures),
    ]
    return "\n".join([*parts, ""])


def origin(result: dict[str, Any]) -> dict[str, str]:
    """Command, settings, time and place of a run, as text."""
    name, machine = result["name"], result["machine"]
    bench = name.startswith(BENCHMARK)
    command = "make bench" if bench else f"anabranch reproduce {name} --budget {result['budget']}"
    versions = ", ".join(f"{key} {value}" for key, value in result["versions"].items())
    return {
        "command": f"`{command}`",
        "seeds": str(len(result["seeds"])),
        "settings": f"`{json.dumps(result['settings'], sort_keys=True)}`",
        "time": f"{result['seconds']:.0f} s",
        "machine": f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB",
        "versions": versions,
        "commit": f"`{result['commit']}`" if result.get("commit") else "unknown",
    }


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


def fill_tables(text: str, results: Path) -> str:
    """The text of a page with its tables of figures made anew.

    Raises:
        ValueError: where a table has no figures.
    """

    def fill(found: re.Match[str]) -> str:
        opening, name, pattern, closing = found.groups()
        if not (results / f"{name}.json").exists():
            return f"{opening}`{name}` was not run yet.\n{closing}"
        result = read_result(results / f"{name}.json")
        return f"{opening}{pivot(result, pattern)}{closing}"

    return TABLE.sub(fill, text)


def pivot(result: dict[str, Any], pattern: str) -> str:
    """Figures as a table; the pattern's two groups say the row and the column of each."""
    cells: dict[str, dict[str, str]] = {}
    for figure in result["figures"]:
        found = re.fullmatch(pattern, figure["name"])
        if found is not None:
            row, column = found.groups()
            cells.setdefault(row, {})[column] = f"{figure['value']:.4g}"
    if not cells:
        raise ValueError(f"{result['name']} has no figure like {pattern!r}")
    columns = list(dict.fromkeys(column for row in cells.values() for column in row))
    rows = [[name, *(row.get(column, "") for column in columns)] for name, row in cells.items()]
    return table(["", *columns], rows)


def target(figure: dict[str, Any]) -> str:
    """The level that a figure has to reach."""
    if figure["target"] is None:
        return ""
    return SIGNS[figure["better"]] + number(figure["target"])


def number(value: float | None) -> str:
    """A number with five digits; one that was not finite is said to be so."""
    return "not finite" if value is None else f"{value:.5g}"


def main(arguments: Sequence[str]) -> None:
    """Write each page whole or not at all."""
    results = Path(arguments[0]) if arguments else ROOT / "results"
    page = Path(arguments[1]) if len(arguments) > 1 else ROOT / "docs" / "results.md"
    texts = {page: make_page(results, page)}
    for other in sorted(page.parent.rglob("*.md")):
        text = other.read_text(encoding="utf-8")
        if other != page and TABLE.search(text):
            texts[other] = fill_tables(text, results)
    for path, text in texts.items():
        with atomic_write(path) as file:
            file.write(text.encode())
        print(f"wrote {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
