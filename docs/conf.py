"""Settings of the documentation: make docs."""

import re

from anabranch import __version__

project = "anabranch"
author = "The anabranch authors"
project_copyright = author
version = release = __version__

extensions = [
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


# Docstrings write shapes as (*batch_shape, N) and |x|, which mean something else to Sphinx; what
# stands between backticks, in formulas and in examples is left as it is.
_LEFT = r"\$[^$]+\$|``[^`]*``|`[^`]*`|\\.|\.\. math::.*?(?=\n\s*\n|\Z)|^ *(?:>>>|\.\.\. ).*?$"
_EMPHASIS = r"(\*\*?)\b[^*(),]+\b\2(?!\w)"
_SPECIAL = re.compile(rf"({_LEFT}|{_EMPHASIS})|([*|]|_(?=\*))", re.DOTALL | re.MULTILINE)


def _plain(found):
    text = found[1] or f"\\{found[3]}"
    return f":math:`{text[1:-1]}`" if text.startswith("$") else text


def _prepare(app, what, name, obj, options, lines):
    """Make a docstring what Sphinx expects, before napoleon sees it."""
    lines[:] = _SPECIAL.sub(_plain, "\n".join(lines)).split("\n")


def setup(app):
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", _prepare, priority=100)
