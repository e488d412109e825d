"""From sections to one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from anabranch.reports.section import Section

if TYPE_CHECKING:
    import plotly.graph_objects as go

# The logo links to a site of plotly's, and from plotly.js 4 on a button uploads the figure with its
# data to a server of plotly's unless told not to: a report keeps to itself.
CONFIG = {
    "displaylogo": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "modeBarButtons": [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
    "responsive": True,
    "showTips": False,
}


def render_page(title: str, sections: Sequence[Section]) -> str:
    """Render sections to a self-contained page; every text is escaped.

    Args:
        title: Heading of the page.
        sections: Its parts in order.

    Returns:
        HTML with styles, plotly.js and pictures inside.

    >>> html = render_page("a < b", [Section("one", "First", ["Some text."])])
    >>> "a &lt; b" in html and "a < b" not in html.split("<script>")[0]
    True
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    # Autoescape is always on: the names of the templates do not end in .html.
    env = Environment(
        loader=PackageLoader("anabranch.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["caption"] = caption
    env.filters["wide"] = lambda figure: bool(_meta(figure).get("wide"))
    env.filters["figure"] = lambda figure, key: Markup(figure_html(figure, key))
    has_figures = any(section.figures for section in sections)
    return env.get_template("report.html.j2").render(
        title=title,
        sections=sections,
        # plotly.js holds no "</script", so it may stand in a script element as it is.
        plotly_js=Markup(get_plotlyjs()) if has_figures else "",
    )


def caption(figure: go.Figure) -> str:
    """What a figure shows in words, as `anabranch.reports.figures.style.finish` was told."""
    return str(_meta(figure).get("caption", ""))


def _meta(figure: go.Figure) -> dict[str, Any]:
    return figure.to_dict()["layout"].get("meta", {})


def figure_html(figure: go.Figure, key: str) -> str:
    """Render a figure as a div and its script, without plotly.js; `key` is the div's id."""
    from plotly.io import to_html

    content = figure.to_dict()
    content["layout"].pop("meta", None)  # its words stand on the page
    return to_html(
        content,
        validate=False,
        config=dict(CONFIG),
        include_plotlyjs=False,
        full_html=False,
        div_id=key,
        default_height=f"{content['layout']['height']}px",
    )
