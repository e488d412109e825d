"""How the fit went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from anabranch.reports.figures.style import INK, finish, text
from anabranch.reports.palette import OKABE_ITO

if TYPE_CHECKING:
    import plotly.graph_objects as go


VALIDATION = "validation_"


@dataclass(frozen=True)
class Panel:
    """One small chart: its title, the unit of its axis, the keys it shows, its scale."""

    title: str
    unit: str
    keys: tuple[str, ...]
    scale: str = "linear"

    @property
    def heading(self) -> str:
        """The title, which says it where all curves are of the validation rows."""
        return f"{self.title} (validation rows)" if self._is_validation else self.title

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the curves, without what the heading says of all."""
        prefix = VALIDATION if self._is_validation else ""
        return tuple(key.removeprefix(prefix) for key in self.keys)

    @property
    def _is_validation(self) -> bool:
        return all(key.startswith(VALIDATION) for key in self.keys)


def _measured(*keys: str) -> tuple[str, ...]:
    """Give each key as measured on the training rows, and on the validation rows."""
    return tuple(name for key in keys for name in (key, VALIDATION + key))


# The loss that is minimised may be in standardised units, so it has a panel of its own.
PANELS = (
    Panel("Negative log-likelihood", "nats", _measured("nll", "negative_elbo")),
    Panel("Loss that is minimised", "nats", ("train_loss", *_measured("loss"))),
    Panel("Entropy of q", "nats", _measured("entropy_q", "entropy_mean_q")),
    Panel("KL(q || exact posterior)", "nats", _measured("kl_q_posterior")),
    Panel("Components", "count", _measured("live_components", "effective_components")),
    Panel("Learning rate", "learning rate", ("learning_rate",), "log"),
    Panel("Temperature", "temperature", ("temperature",)),
    Panel("Skipped steps", "steps", ("skipped_steps",)),
)
# What counts the records, and so is no result.
COUNTERS = ("epoch", "step", "snapshots")
FEW_RECORDS = 20


def training_figure(history: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw every number that the fit recorded against the epoch.

    Args:
        history: One mapping per epoch. Known keys get a title and a unit, other numeric keys a
            panel under their own name; a missing value or NaN is a gap. Where there is
            `validation_nll`, its lowest value is marked.

    Returns:
        A wide panel for the losses, or for the first quantity where there are none, and below it
        one panel for each other quantity, two in a row.

    Raises:
        ValueError: When no number was recorded.
    """
    from plotly.subplots import make_subplots

    panels = recorded_panels(history)
    if not panels:
        raise ValueError("history: no number is recorded; expected one mapping for each epoch.")
    wide, small = panels[0], panels[1:]
    rows = 1 + (len(small) + 1) // 2
    fig = make_subplots(
        rows,
        2,
        specs=[[{"colspan": 2}, None], *[[{}, {}] for _ in range(rows - 1)]],
        subplot_titles=[text(panel.heading) for panel in panels],
        horizontal_spacing=0.12,
        # In shares of the height: room for the name of an axis and the title below it.
        vertical_spacing=115 / _height(rows) if rows > 1 else 0,
        row_heights=[1.4, *[1] * (rows - 1)],
    )
    _draw_panel(fig, history, wide, 1, 1)
    for i, panel in enumerate(small):
        _draw_panel(fig, history, panel, 2 + i // 2, i % 2 + 1)
    _place_legends(fig)
    fig.update_annotations(yshift=22)
    shown = ", ".join(panel.heading for panel in panels)
    caption = f"What the fit recorded at each epoch: {shown}."
    finish(fig, "Training curves", caption=caption, height=_height(rows), wide=rows > 1)
    return fig.update_layout(margin_t=96)


def _place_legends(fig: go.Figure) -> None:
    """Give each panel of several curves a legend of its own, between its title and the curves."""
    for xaxis in sorted({str(trace["xaxis"]) for trace in fig.to_dict()["data"]}):
        number = xaxis.removeprefix("x")
        fig.update_traces(legend=f"legend{number}", selector={"xaxis": xaxis})
        corner = {
            "x": fig.layout[f"xaxis{number}"].domain[1],
            "y": fig.layout[f"yaxis{number}"].domain[1],
            "xanchor": "right",
            "yanchor": "bottom",
            "orientation": "h",
            "font": {"size": 11},
        }
        fig.update_layout({f"legend{number}": corner})


def _height(rows: int) -> int:
    return 120 + 215 * rows


def recorded_panels(history: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """Give the panels for what a history holds.

    >>> [panel.keys for panel in recorded_panels([{"epoch": 0, "train_loss": 1.0, "grad": 2.0}])]
    [('train_loss',), ('grad',)]
    """
    recorded = dict.fromkeys(
        key for epoch in history for key, value in epoch.items() if _is_number(value)
    )
    for counter in COUNTERS:
        recorded.pop(counter, None)
    panels = []
    for panel in PANELS:
        keys = tuple(key for key in panel.keys if key in recorded)
        if keys:
            panels.append(Panel(panel.title, panel.unit, keys, panel.scale))
    known = {key for panel in PANELS for key in panel.keys}
    return panels + [Panel(key, key, (key,)) for key in recorded if key not in known]


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _draw_panel(
    fig: go.Figure, history: Sequence[Mapping[str, Any]], panel: Panel, row: int, col: int
) -> None:
    import plotly.graph_objects as go

    epochs = [epoch.get("epoch", i) for i, epoch in enumerate(history)]
    mode = "lines+markers" if len(history) <= FEW_RECORDS else "lines"
    for i, key in enumerate(panel.keys):
        values = [_float_or_nan(epoch.get(key)) for epoch in history]
        style = {"color": OKABE_ITO[i], "width": 1.8, "dash": ("solid", "dash")[i % 2]}
        trace = go.Scatter(
            x=epochs,
            y=values,
            mode=mode,
            line=style,
            name=text(panel.names[i]),
            showlegend=len(panel.keys) > 1,
        )
        fig.add_trace(trace, row, col)
        if key == "validation_nll" and np.isfinite(values).any():
            _mark_lowest(fig, epochs, values, row, col)
    fig.update_xaxes(title="epoch", row=row, col=col)
    fig.update_yaxes(title=text(panel.unit), type=panel.scale, row=row, col=col)
    if panel.scale == "log":
        # Plotly would label 2 and 5 of every decade by the bare digit.
        fig.update_yaxes(exponentformat="power", dtick="D2", row=row, col=col)


def _mark_lowest(
    fig: go.Figure, epochs: Sequence[Any], values: Sequence[float], row: int, col: int
) -> None:
    import plotly.graph_objects as go

    best = int(np.nanargmin(np.where(np.isfinite(values), values, np.nan)))
    mark = {"color": INK, "size": 9, "symbol": "circle-open", "line": {"width": 2}}
    name = f"lowest nll: {values[best]:.4g} nats, epoch {epochs[best]}"
    trace = go.Scatter(x=[epochs[best]], y=[values[best]], mode="markers", marker=mark, name=name)
    fig.add_trace(trace, row, col)


def _float_or_nan(value: Any) -> float:
    return float(value) if _is_number(value) else float("nan")
