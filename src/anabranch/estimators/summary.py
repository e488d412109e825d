"""What an estimator says of its fit, in a few lines."""

from collections.abc import Mapping
from html import escape
from typing import Any

from anabranch.metrics import bits_per_dim


def fit_lines(facts: Mapping[str, Any]) -> dict[str, str]:
    """What of the facts of an estimator tells how its fit went.

    Example:
        >>> fit_lines({"components": 2, "weights": [0.25, 0.75], "seconds": 1.0})
        {'components': '2', 'seconds': '1.0', 'weights': '0.250 0.750'}
    """
    lines = {name: str(facts[name]) for name in ("method", "components", "start") if name in facts}
    if facts.get("context_names"):
        lines["context"] = ", ".join(facts["context_names"])
    if "stages" in facts:
        for name, stage in facts["stages"].items():
            lines[name] = f"{stage['epochs']} epochs, stopped by {stage['stopped']}"
    elif "epochs" in facts:
        best = f"best {facts['best_epoch']}, stopped by {facts['stopped']}"
        lines["epochs"] = f"{facts['epochs']}, {best}"
    if facts.get("epochs"):
        lines |= verdict(facts)
    if "seconds" in facts:
        lines["seconds"] = f"{facts['seconds']:.1f}"
    if facts.get("score") is not None:
        lines["held out"] = _held_out(facts)
    if "sizes" in facts:
        lines["sizes"] = " ".join(map(str, sorted(facts["sizes"], reverse=True)))
    if "weights" in facts:
        lines["weights"] = " ".join(f"{weight:.3f}" for weight in facts["weights"])
    return lines


def verdict(facts: Mapping[str, Any]) -> dict[str, str]:
    """Whether what was trained was worth it, on rows held out, and by how much.

    Example:
        >>> verdict({"best_epoch": 0, "gain": [0.01, 0.02]})
        {'kept': 'the start: training was not convincingly better on rows held out, +0.010 ± ...'}
        >>> verdict({"best_epoch": 3, "gain": [0.3, 0.02]})
        {'gain': '+0.300 ± 0.020 nats per row over the start, on rows held out'}
    """
    gain = facts.get("gain")
    # nothing to tell where no state of the training came before the start
    said = "" if not gain or not any(gain) else f"{gain[0]:+.3f} ± {gain[1]:.3f} nats per row"
    if facts.get("best_epoch") != 0:
        return {"gain": f"{said} over the start, on rows held out"} if said else {}
    kept = "the start: training was not convincingly better on rows held out"
    return {"kept": f"{kept}, {said}" if said else kept}


def _held_out(facts: Mapping[str, Any]) -> str:
    bound, levels = "bound" in facts["score_is"], facts["levels"]
    text = f"{'bound, ' if bound else ''}{facts['score']:.4f} nats per row"
    if levels is None:
        return text
    bits = bits_per_dim(facts["score"], facts["columns"])
    return f"{text}, {bits:.4f} bits per dimension ({levels} levels)"


def summary_lines(facts: Mapping[str, Any]) -> dict[str, str]:
    """What to tell a reader of the facts of a fit.

    Example:
        >>> summary_lines({"estimator": "GaussianMixture", "columns": 2, "weights": [1.0]})
        {'model': 'GaussianMixture', 'columns': '2', 'weights': '1.000'}
    """
    lines = {"model": facts["estimator"], "columns": str(facts["columns"])}
    if facts.get("names"):
        lines["columns"] += ": " + ", ".join(facts["names"][:8])
        lines["columns"] += ", ..." if len(facts["names"]) > 8 else ""
    if facts.get("recipe"):
        lines["recipe"] = f"{facts['recipe']}, {facts['parameters']:,} parameters"
    lines |= fit_lines(facts)
    if facts.get("classes"):
        lines["classes"] = ", ".join(facts["classes"])
    if "share_of_flows" in facts:
        lines["share of flows"] = f"{facts['share_of_flows']:.3f}, the rest is Gaussian"
    if "contamination" in facts:
        lines["contamination"] = f"{facts['contamination']:.4f} of rows are of no component"
    return lines


def summary_text(lines: Mapping[str, str]) -> str:
    """Names and values below each other.

    Example:
        >>> print(summary_text({"model": "RAD", "weights": "1.000"}))
        model    RAD
        weights  1.000
    """
    width = max(map(len, lines)) + 2
    return "\n".join(f"{name:<{width}}{value}" for name, value in lines.items())


def summary_html(lines: Mapping[str, str]) -> str:
    """The same as a table.

    Example:
        >>> summary_html({"model": "<b>"})
        '<table><tbody><tr><th scope="row">model</th><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    rows = (
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in lines.items()
    )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"
