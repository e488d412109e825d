"""Tables and reference of everything that the package exports, made when the pages are built.

A page says where they go:

    <!-- catalogue: transforms -->
    <!-- catalogue: recipes -->

What is new appears by itself: its group is its file, or a recipe's family; its row the first
sentence of its docstring and the source named there. A recipe that a page of docs/systems
describes is linked to; any other one is described here.
"""

import inspect
import re
import sys
from itertools import groupby
from pathlib import Path

from anabranch import models, transforms

sys.path.insert(0, str(Path(__file__).parent))
from docstrings import as_rst

DOCS = Path(__file__).parent
MARK = re.compile(r"^<!-- catalogue: (\w+) -->$", re.MULTILINE)
SOURCE = re.compile(r"^\s*Source[^:\n]*: (.+?) \((\d{4})\)", re.MULTILINE | re.DOTALL)
IDENTIFIER = re.compile(r"\b(arXiv|doi):([\w./-]+\w)")
SITES = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}


def expand(text):
    """The page with its catalogues in place of their marks."""
    makers = {"transforms": transform_catalogue, "recipes": recipe_catalogue}
    return MARK.sub(lambda found: makers[found[1]](), text)


def transform_catalogue():
    """One section for each file of transforms, and one for all scalar maps."""
    exported = {
        name: thing
        for name, thing in vars(transforms).items()
        if not name.startswith("_") and (inspect.isclass(thing) or inspect.isfunction(thing))
    }
    rows = [(_group(thing), name, thing) for name, thing in exported.items()]
    rows.sort(key=lambda row: (row[0].startswith("anabranch.transforms"), row[0]))
    sections = []
    for group, members in groupby(rows, key=lambda row: row[0]):
        names = {name: thing for _, name, thing in members}
        sections += [f"## {title(group)}", eval_rst(table(names, "anabranch.transforms"))]
        sections.append(eval_rst("\n\n".join(map(reference, names, names.values()))))
    return "\n\n".join(sections)


def recipe_catalogue():
    """One section for each family of models."""
    pages = system_pages()
    rows = [
        (_package(function), name, function) for name, function in models.list_recipes().items()
    ]
    sections = []
    for family, members in groupby(sorted(rows, key=lambda row: row[:2]), key=lambda row: row[0]):
        names = {name: function for _, name, function in members}
        sections += [f"## {title(family)}", eval_rst(table(names, "anabranch.models", pages))]
        own = [f".. autofunction:: anabranch.models.{name}" for name in names if name not in pages]
        if own:
            sections.append(eval_rst("\n\n".join(own)))
    return "\n\n".join(sections)


def system_pages():
    """The page of docs/systems that describes a recipe, by the recipe's name."""
    described = re.compile(r"^\.\. autofunction:: anabranch\.models\.(\w+)$", re.MULTILINE)
    return {
        name: page.stem
        for page in sorted((DOCS / "systems").glob("*.md"))
        for name in described.findall(page.read_text(encoding="utf-8"))
    }


def table(things, package, pages=()):
    """Rows of name, first sentence and source, in reStructuredText."""
    lines = [".. list-table::", "   :widths: 22 53 25", ""]
    for name, thing in things.items():
        where = f":doc:`systems/{pages[name]}`" if name in pages else ""
        told = " · ".join(filter(None, (source(thing), where)))
        lines += [
            f"   * - :py:obj:`~{package}.{name}`",
            f"     - {summary(thing)}",
            f"     - {told}",
        ]
    return "\n".join(lines)


def reference(name, thing):
    """The autodoc directive of a transform; what its contract says of every one is left out."""
    if not inspect.isclass(thing):
        return f".. autofunction:: anabranch.transforms.{name}"
    lines = [f".. autoclass:: anabranch.transforms.{name}"]
    if not inspect.isabstract(thing):
        abstract = {
            name for base in thing.__mro__ for name in getattr(base, "__abstractmethods__", ())
        }
        lines.append(f"   :exclude-members: {', '.join(sorted(abstract | {'extra_repr'}))}")
    return "\n".join(lines)


def summary(thing):
    """The first sentence of a docstring.

    Raises:
        ValueError: where there is none.
    """
    text = " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())
    found = re.match(r".+?[.:](?=\s|$)", text)
    if not found:
        raise ValueError(f"the docstring of {thing.__name__} must begin with a sentence")
    return as_rst(found[0].removesuffix(":").removesuffix(".") + ".")


def source(thing):
    """Authors, year and link of the first source that a docstring names, or nothing."""
    text = inspect.getdoc(thing) or ""
    named = SOURCE.search(text)
    # the link of this source, not of another one behind a semicolon or in the next paragraph
    own = re.split(r";|\n\s*\n", text[named.end() :])[0] if named else text
    link = IDENTIFIER.search(own)
    told = []
    if named:
        first, *others = (author.strip() for author in named[1].split(","))
        authors = f"{first} et al." if len(others) > 1 else ", ".join([first, *others])
        told.append(f"{authors} ({named[2]})")
    if link:
        told.append(f"`{link[1]}:{link[2]} <{SITES[link[1]]}{link[2]}>`__")
    return ", ".join(told)


def title(module):
    """The first line of a module's docstring without its full stop, up to a colon or comma."""
    return re.split(r"[:.,]", inspect.getdoc(sys.modules[module]) or "", maxsplit=1)[0]


def eval_rst(text):
    """A block of reStructuredText on a page of Markdown."""
    return f"```{{eval-rst}}\n{text}\n```"


def _group(thing):
    module = thing.__module__
    return _package(thing) if ".scalar." in module else module


def _package(thing):
    return inspect.unwrap(thing).__module__.rpartition(".")[0]


def _expand_page(app, docname, source):
    source[0] = expand(source[0])


def setup(app):
    """Sphinx calls this."""
    app.connect("source-read", _expand_page)
    return {"parallel_read_safe": True, "version": "1"}
