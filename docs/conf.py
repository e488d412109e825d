"""Settings of the documentation: make docs."""

import sys
from pathlib import Path

from anabranch import __version__

sys.path.insert(0, str(Path(__file__).parent))
from docstrings import as_rst

project = "anabranch"
author = "The anabranch authors"
project_copyright = author
version = release = __version__

extensions = [
    "catalogue",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"anabranch {version}"
html_show_sourcelink = False
html_show_copyright = False

default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    "exclude-members": "extra_repr",
}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"


def _prepare(app, what, name, obj, options, lines):
    """Make a docstring what Sphinx expects, before napoleon sees it."""
    lines[:] = as_rst("\n".join(lines)).split("\n")


def _is_request(app, what, name, obj, skip, options):
    """Leave out what scikit-learn makes of arguments of methods, in its own words and links."""
    return True if name.startswith("set_") and name.endswith("_request") else None


def setup(app):
    """Sphinx calls this."""
    app.connect("autodoc-skip-member", _is_request)
    app.connect("autodoc-process-docstring", _prepare, priority=100)
