"""Fits to rows that are not held: what they take, and where their batches come from."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.data.parquet_rows import ParquetRows, Scan
from anabranch.procedures.mixture_options import FlowMixtureOptions
from anabranch.procedures.rows import Rows
from anabranch.training import RowStream

Array = NDArray[np.float64]


def scan_rows(rows: ParquetRows, validation_fraction: float, given: Mapping[str, object]) -> Scan:
    """Go through rows on disk once.

    Args:
        rows: of Parquet files.
        validation_fraction: of rows that judge.
        given: what else ``fit`` was given.

    Raises:
        ValueError: for what does not go with rows on disk, or too few rows.
    """
    if wrong := [name for name, value in given.items() if value is not None]:
        raise ValueError(f"{wrong[0]} is for rows in memory: ParquetRows hold all that a fit takes")
    scan = rows.scan(validation_fraction)
    if not len(scan.judging_values) or len(scan.sample_values) < 2:
        raise ValueError(
            f"{len(rows)} rows are too few for a streamed fit with validation_fraction="
            f"{validation_fraction:g}: read them as a table"
        )
    return scan


def check_streamable(plan: FlowMixtureOptions) -> None:
    """Refuse ways to fit that look at all rows before each epoch.

    Raises:
        ValueError: naming the setting.
    """
    settings = plan.model_options
    held = {
        "inference": plan.inference == "invariant",
        "consistency": bool(plan.weight),
        "model_options.algorithm": settings.algorithm == "em",
        "model_options.weights": settings.weights in ("exact", "network"),
        "model_options.levels": settings.levels is not None,
    }
    for name in (name for name, holds in held.items() if holds):
        raise ValueError(f"{name} asks for all rows before each epoch: a streamed fit has them not")


def row_stream(
    scan: Scan,
    prepare: Callable[[Array, np.random.RandomState], Rows],
    batch_size: int,
    device: str,
    outside: Callable[[Array], NDArray[np.bool_]] | None = None,
) -> RowStream:
    """The rows of a scan as the flows see them, group by group.

    Args:
        scan: of rows on disk.
        prepare: brings rows to the space of the flows; what it draws depends on the group alone.
        batch_size: of the loop.
        device: where the flows are.
        outside: tells rows that are not trained on, which then count nothing; None for none.
    """
    order = scan.order

    def read(number: int) -> dict[str, torch.Tensor]:
        group = int(order[number])
        X = scan.read(group)
        rows = prepare(X, np.random.RandomState(int(scan.digests[group] % np.uint64(2**32))))
        if outside is not None:
            rows = replace(rows, weights=torch.as_tensor(~outside(X)).float())
        return rows.batch(device)

    sizes = scan.sizes[order].tolist()
    return RowStream(sizes, read, max(scan.window, batch_size), scan.fingerprint, device)
