"""Fits to rows that are not held: what they take, and where their batches come from."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.data.parquet_rows import KnownLabels, ParquetRows, RowParts, Scan
from anabranch.estimators.labels import check_targets
from anabranch.procedures.mixture_options import FlowMixtureOptions
from anabranch.procedures.rows import Rows
from anabranch.training import RowStream

Array = NDArray[np.float64]
Prepare = Callable[[RowParts, np.random.RandomState], Rows]
# What `ParquetRows` has in place of an argument of ``fit``.
INSTEAD = {"y": "label", "sample_weight": "weight", "context": "context"}


def scan_rows(rows: ParquetRows, validation_fraction: float, given: Mapping[str, object]) -> Scan:
    """Go through rows on disk once.

    Args:
        rows: of Parquet files.
        validation_fraction: of rows that judge.
        given: what else ``fit`` was given.

    Raises:
        ValueError: for what does not go with rows on disk, or too few rows.
        OSError: where there is no room for a copy of them.
    """
    if wrong := [name for name, value in given.items() if value is not None]:
        name = wrong[0]
        hint = f"name columns by ParquetRows({INSTEAD[name]}=...)" if name in INSTEAD else ""
        raise ValueError(
            f"{name} is for rows in memory: "
            + (hint or "ParquetRows hold all that a fit takes beside its settings")
        )
    scan = rows.scan(validation_fraction)
    if not len(scan.judging.X) or len(scan.sample.X) < 2:
        raise ValueError(
            f"{len(rows)} rows are too few for a streamed fit with validation_fraction="
            f"{validation_fraction:g}: read them as a table"
        )
    return scan


def check_streamable(plan: FlowMixtureOptions, rows: ParquetRows) -> None:
    """Refuse ways to fit that look at all rows before each epoch, and a context.

    Raises:
        ValueError: naming the setting.
    """
    if rows.context:
        raise ValueError("a mixture has no context: leave context out, or fit a FlowDensity")
    settings, labelled = plan.model_options, plan.semi_supervised
    held = {
        "inference": plan.inference == "invariant",
        "consistency": bool(plan.weight),
        "model_options.algorithm": settings.algorithm == "em",
        "model_options.weights": settings.weights in ("exact", "network"),
        "model_options.levels": settings.levels is not None,
        "semi_supervised.order": labelled.order == "alternate",
        "semi_supervised.pretrain_epochs": bool(labelled.pretrain_epochs),
    }
    for name in (name for name, holds in held.items() if holds):
        raise ValueError(f"{name} asks for all rows before each epoch: a streamed fit has them not")


Targets = Callable[[NDArray[np.int64] | None], Array | None]


def class_targets(known: KnownLabels, n_components: int | None) -> tuple[Targets, int]:
    """How labels become target probabilities, and K; see `check_targets`.

    Args:
        known: the labels of all rows: a sample may lack some.
        n_components: as it was given.
    """
    classes = known.values
    table, found = check_targets(classes, 0 if classes is None else len(classes), n_components)

    def targets(labels: NDArray[np.int64] | None) -> Array | None:
        if labels is None or table is None:
            return None
        places = np.searchsorted(known.classes, labels).clip(0, len(table) - 1)
        return np.where(labels[:, None] >= 0, table[places], 0.0)

    return targets, found


def teaching(
    targets: Targets, outside: Callable[[Array], NDArray[np.bool_]] | None
) -> Callable[[Rows, RowParts], None]:
    """What completes the rows of a mixture: their targets, and nothing for rows that stand apart.

    Args:
        targets: of labels, see `class_targets`.
        outside: tells rows that are not trained on, which then count nothing; None for none.
    """

    def complete(rows: Rows, parts: RowParts) -> None:
        found = targets(parts.labels)
        rows.targets = None if found is None else torch.as_tensor(found, dtype=torch.float32)
        if outside is not None:
            near = torch.as_tensor(~outside(parts.X)).float()
            rows.weights = near if rows.weights is None else rows.weights * near

    return complete


def row_stream(scan: Scan, prepare: Prepare, batch_size: int, device: str) -> RowStream:
    """The rows of a scan as the flows see them, pile by pile.

    Args:
        scan: of rows on disk.
        prepare: brings rows to the space of the flows; what it draws depends on the pile alone.
        batch_size: of the loop.
        device: where the flows are.
    """
    piles, digest = scan.piles, int(scan.fingerprint[:8], 16)

    def read(number: int) -> dict[str, torch.Tensor]:
        pile = int(piles[number])
        source = np.random.RandomState((digest + pile) % 2**32)
        return prepare(scan.read(pile), source).batch(device)

    sizes = scan.dealt.sizes[piles].tolist()
    return RowStream(sizes, read, max(scan.window, batch_size), scan.fingerprint, device)
