"""What there is to know of a compressed file, without decoding it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anabranch.coding.container import MAGIC, Container


def is_compressed(path: Path) -> bool:
    """Whether a file begins as `anabranch.coding.compress` begins one."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def describe_file(path: Path) -> dict[str, Any]:
    """Its kind, sizes, rate and model, as plain values.

    Raises:
        CompressedFileError: for a file that is damaged, or of a newer version.
    """
    with path.open("rb") as file:
        container = Container(file, str(path))
    header, blocks = container.header, container.blocks
    restore = header.restore
    shape = restore.get("shape")
    values = restore.get("length") if shape is None else _product(shape)
    facts = {"kind": restore.get("kind"), "dtype": restore.get("dtype"), "shape": shape}
    return {name: value for name, value in facts.items() if value is not None} | {
        "items": header.items,
        "pixels_per_item": header.size,
        "blocks": len(blocks),
        "items_per_block": max((block.items for block in blocks), default=0),
        "bytes": container.length,
        "bits_per_value": 8 * container.length / values if values else None,
        "coded_by": "model" if all(block.method == 0 for block in blocks) else "model, xz or none",
        "model": header.model,
    }


def file_components(path: Path) -> NDArray[np.int64]:
    """The component by which each item of a compressed file was coded, (items,), in their order.

    The items are not decoded, and no model is needed.

    Raises:
        CompressedFileError: for a damaged file, or one that no mixture has coded.
    """
    with path.open("rb") as file:
        container = Container(file, str(path))
        parts = [container.components(block) for block in container.blocks]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _product(shape: Any) -> int:
    product = 1
    for n in shape:
        product *= int(n)
    return product
