"""Curves of losses, and of accuracy by the settings of std annealing, as PNG."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anabranch.reports.figures.style import INK, MUTED, RULE
from anabranch.reports.palette import color

# The highest losses beyond this quantile are cut off, for a run may diverge.
QUANTILE = 0.98


def loss_curves(losses: Mapping[str, Sequence[float]]) -> bytes:
    """Draw the training loss of several runs by epoch.

    Args:
        losses: by name, in nats, an epoch each; a star at the end of the objective's name means
            annealing and a solid line, and "(Bernoulli)" a panel of its own.

    Returns:
        A PNG.

    Raises:
        ValueError: for no curve.

    Example:
        >>> loss_curves({"EnumY": [3.0, 1.0], "EnumY*": [4.0, 0.5]})[1:4]
        b'PNG'
    """
    if not losses:
        raise ValueError("losses must hold at least one curve, got none")
    names = list(losses)
    discrete = [name for name in names if "(Bernoulli)" in name]
    groups = [group for group in ([n for n in names if n not in discrete], discrete) if group]
    titles = ["Gaussian p(x|z)", "Bernoulli p(x|z)"] if discrete else ["training loss"]
    canvas, axes = _canvas(len(groups))
    for axis, group, title in zip(axes, groups, titles, strict=False):
        for name in group:
            values = losses[name]
            style = "-" if "*" in name else "--"
            epochs = range(1, len(values) + 1)
            axis.plot(epochs, values, style, color=_colour(name, group), lw=1.5, label=name)
        _limit(axis, [losses[name] for name in group])
        _dress(axis, title, "epoch", "loss, nats")
    return _png(canvas)


def sensitivity_lines(
    first: Sequence[float], lines: Mapping[str, Sequence[float]], plain: float
) -> bytes:
    """Draw accuracy by the first bound of standard deviations, a line for each halving interval.

    Args:
        first: bounds.
        lines: accuracies at each bound, by the interval, such as "2 epochs".
        plain: accuracy without annealing.

    Returns:
        A PNG.

    Raises:
        ValueError: for a line of another length than ``first``.

    Example:
        >>> sensitivity_lines([0.5, 1.0], {"2 epochs": [0.4, 0.5]}, 0.3)[1:4]
        b'PNG'
    """
    canvas, (axis,) = _canvas(1)
    for i, (name, values) in enumerate(lines.items()):
        if len(values) != len(first):
            raise ValueError(f"line {name!r} has {len(values)} values for {len(first)} bounds")
        axis.plot(first, values, "o-", color=color(i), lw=1.5, label=f"halved every {name}")
    axis.axhline(plain, color=MUTED, ls="--", lw=1.2, label="without annealing")
    axis.set_xscale("log", base=2)
    axis.set_xticks(first, [f"{value:g}" for value in first])
    _dress(axis, "sensitivity to the annealing", "first bound of standard deviations", "ACC")
    return _png(canvas)


def _canvas(columns: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure as Canvas  # heavy, and an extra

    canvas = Canvas(figsize=(6.4 * columns, 4.2), layout="constrained")
    return canvas, canvas.subplots(1, columns, squeeze=False)[0]


def _colour(name: str, group: Sequence[str]) -> str:
    """One colour for an objective with and without annealing."""
    plain = list(dict.fromkeys(other.replace("*", "") for other in group))
    return color(plain.index(name.replace("*", "")))


def _limit(axis: Any, curves: Sequence[Sequence[float]]) -> None:
    values = np.concatenate([np.asarray(curve, dtype=float) for curve in curves])
    values = values[np.isfinite(values)]
    if len(values) and np.ptp(values) > 0:
        low, high = float(values.min()), float(np.quantile(values, QUANTILE))
        axis.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low) + 1e-9)


def _dress(axis: Any, title: str, x: str, y: str) -> None:
    axis.set_title(title, color=INK, loc="left", fontsize=11)
    axis.set_xlabel(x, color=MUTED)
    axis.set_ylabel(y, color=MUTED)
    axis.grid(color=RULE)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(facecolor="white", edgecolor="none", framealpha=0.85, fontsize=8)


def _png(canvas: Any) -> bytes:
    file = io.BytesIO()
    # without this the version of matplotlib would be written into every picture
    canvas.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()
