"""The clustering against known labels."""

import numpy as np

from anabranch.metrics import (
    adjusted_rand,
    clustering_accuracy,
    contingency_table,
    normalized_mutual_info,
)
from anabranch.reports.evaluation import Evaluation
from anabranch.reports.figures import contingency_figure
from anabranch.reports.section import Section, Table


def labels_section(
    ev: Evaluation, labels: np.ndarray, label_names: tuple[str, ...] | None
) -> Section:
    """Compare clusters with the labels of the rows that have one."""
    components = ev.predicted
    table = contingency_table(labels, components, matched=True)
    names = [str(c) if label_names is None else label_names[c] for c in table.classes]
    figure = contingency_figure(table.counts, names, [str(c) for c in table.components])
    rows = [
        ("accuracy (ACC)", f"{clustering_accuracy(labels, components):.4f}"),
        (
            "normalised mutual information (NMI)",
            f"{normalized_mutual_info(labels, components):.4f}",
        ),
        ("adjusted Rand index (ARI)", f"{adjusted_rand(labels, components):.4f}"),
    ]
    text = (
        f"Over the {(labels >= 0).sum():,} of {len(labels):,} rows whose label is known. "
        "For ACC every label is matched to one component, so that most rows agree; the "
        "components of the table are in the order of their labels. Where the fit has "
        "seen these labels, the figures do not tell how it will do on new rows."
    )
    return Section("labels", "Known labels", [text], tables=[Table("", (), rows)], figures=[figure])
