"""The summary on top of a report."""

from typing import Any

import numpy as np

from anabranch.estimators.summary import verdict
from anabranch.metrics import bits_per_dim
from anabranch.reports.evaluation import Evaluation
from anabranch.reports.protocol import FittedDensity, FittedMixture, has_clusters
from anabranch.reports.request import Request
from anabranch.reports.section import Section, Table
from anabranch.version import __version__


def summary_section(
    est: FittedMixture | FittedDensity, ev: Evaluation, request: Request
) -> Section:
    """Tell the sizes and the mean log-likelihood, and of the rows that were held out."""
    n, width = ev.X.shape
    rows = [
        ("rows", f"{n:,}"),
        ("columns", f"{width:,}" + _image_note(request)),
        *_parts(est),
        *_hedge(est),
        (_name_of_score(est), _log_likelihood(ev.log_density)),
        *_held_out(est, ev),
        *_verdict(est),
        *_gaps(ev),
    ]
    if request.image_shape is not None:
        bits = bits_per_dim(float(ev.log_density.mean()), width)
        rows.append(("bits per dimension", f"{bits:.4f}, in the units of the data"))
    if request.labels is not None:
        rows.append(("rows with a known label", f"{int((request.labels >= 0).sum()):,}"))
    return Section("summary", "Summary", [], tables=[Table("", (), rows)])


def settings_section(est: FittedMixture | FittedDensity, request: Request) -> Section:
    """How it was made: the settings, the columns and the version."""
    version = Table("", (), [("anabranch", __version__)])
    tables = [version, *_settings(est), _columns(request)]
    return Section("settings", "Settings", [], tables=tables)


def _held_out(est: Any, ev: Evaluation) -> list[tuple[str, str]]:
    """The mean of the rows that the fit has not seen."""
    if ev.held_out is None or not len(ev.held_out) or hasattr(est, "n_score_samples"):
        return []
    rows = ev.log_density[ev.held_out]
    return [(f"of the {len(rows):,} rows held out by the fit", _log_likelihood(rows))]


def _gaps(ev: Evaluation) -> list[tuple[str, str]]:
    missing = np.isnan(ev.X)
    if not missing.any():
        return []
    return [("missing cells", f"{missing.sum():,}, in {missing.any(1).sum():,} rows")]


def _name_of_score(est: Any) -> str:
    """Models with latent variables know their density from below only."""
    draws = getattr(est, "n_score_samples", None)
    name = "mean log-likelihood"
    return name if draws is None else f"{name}, bound by {draws} draws"


def _parts(est: Any) -> list[tuple[str, str]]:
    """The components of a mixture, or the context of a density."""
    if has_clusters(est):
        return [("components", f"{est.n_components_:,}")]
    conditions = getattr(est, "conditions_", None)
    if conditions is None:
        return []
    names = "" if conditions.names is None else f" ({', '.join(conditions.names)})"
    return [("columns of context", f"{conditions.n_features:,}{names}")]


def _hedge(est: Any) -> list[tuple[str, str]]:
    """What flows weigh against the Gaussians that hedge them."""
    share = est.facts().get("share_of_flows") if hasattr(est, "facts") else None
    return [] if share is None else [("share of the flows", f"{share:.3f}, the rest is Gaussian")]


def _verdict(est: Any) -> list[tuple[str, str]]:
    """Whether what was trained was worth it."""
    facts = est.facts() if hasattr(est, "facts") else {}
    lines = verdict(facts) if facts.get("epochs") else {}
    names = {"kept": "kept", "gain": "gained by training"}
    return [(names[name], text) for name, text in lines.items()]


def _log_likelihood(log_density: np.ndarray) -> str:
    finite = np.isfinite(log_density)
    text = f"{log_density.mean():.4f} nats per row"
    if finite.all():
        error = log_density.std(ddof=1) / np.sqrt(len(log_density))
        return f"{text} (standard error {error:.4f})"
    return f"{text}; {int((~finite).sum()):,} rows have a log-density that is not finite"


def _image_note(request: Request) -> str:
    if request.image_shape is None:
        return ""
    return f" ({' by '.join(map(str, request.image_shape))} pixels)"


def _settings(est: Any) -> list[Table]:
    if not hasattr(est, "get_params"):
        return []
    settings = est.get_params(deep=False)
    rows = [(name, _short(settings[name])) for name in sorted(settings)]
    return [Table(f"Settings of {type(est).__name__}", ("setting", "value"), rows, folded=True)]


def _short(value: object, limit: int = 300) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _columns(request: Request) -> Table:
    rows = [(str(i), name) for i, name in enumerate(request.columns, start=1)]
    return Table("Columns", ("number", "name"), rows, folded=True)
