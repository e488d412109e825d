"""The common look of the figures."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
INK, MUTED, RULE = "#1f2933", "#52606d", "#e4e7eb"
FIRST, SECOND = "#0072B2", "#E69F00"


def text(name: object) -> str:
    """Escape a name for plotly, which reads a part of HTML in its texts.

    >>> text("<b>x</b>")
    '&lt;b&gt;x&lt;/b&gt;'
    """
    return escape(str(name))


def finish(
    fig: go.Figure, title: str, *, caption: str = "", height: int = 420, wide: bool = False
) -> go.Figure:
    """Give a figure its title and the common look; returns the same figure.

    Args:
        fig: The figure.
        title: What it shows.
        caption: What is to be seen there, in words, for those who do not see it.
        height: In pixels.
        wide: Whether it has panels side by side, which a narrow window scrolls.
    """
    fig.update_layout(
        template="none",
        meta={"caption": caption or f"{title}.", "wide": wide},
        title={"text": f"<b>{title}</b>", "x": 0, "xref": "paper", "xanchor": "left"},
        title_font={"size": 16, "color": INK},
        font={"family": FONT, "size": 13, "color": INK},
        height=height,
        margin={"l": 64, "r": 16, "t": 64, "b": 56},
        paper_bgcolor="white",
        plot_bgcolor="white",
        hoverlabel={"font_family": FONT},
    )
    axis = {
        "gridcolor": RULE,
        "linecolor": "#9aa5b1",
        "ticks": "outside",
        "tickcolor": "#9aa5b1",
        "zeroline": False,
        "automargin": True,
        "title_font": {"size": 13, "color": MUTED},
        "title_standoff": 8,
    }
    fig.update_annotations(font={"size": 13, "color": MUTED})
    for kind in ("heatmap", "contour"):
        font = {"size": 13, "color": MUTED}
        fig.update_traces(colorbar_title_font=font, selector={"type": kind})
    fig.update_xaxes(axis)
    fig.update_yaxes(axis)
    return fig
