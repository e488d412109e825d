"""Docstrings as Sphinx expects them."""

import re

# Docstrings write shapes as (*batch_shape, N) and |x|, which mean something else to Sphinx; what
# stands between backticks, in formulas and in examples is left as it is.
_LEFT = r"\$[^$]+\$|``[^`]*``|`[^`]*`|\\.|\.\. math::.*?(?=\n\s*\n|\Z)|^ *(?:>>>|\.\.\. ).*?$"
_EMPHASIS = r"(\*\*?)\b[^*(),]+\b\2(?!\w)"
_SPECIAL = re.compile(rf"({_LEFT}|{_EMPHASIS})|([*|]|_(?=\*))", re.DOTALL | re.MULTILINE)


def as_rst(text):
    """The text with its formulas marked, and its stars and bars escaped."""
    return _SPECIAL.sub(_plain, text)


def _plain(found):
    text = found[1] or f"\\{found[3]}"
    return f":math:`{text[1:-1]}`" if text.startswith("$") else text
