"""What there is to know of a compressed file, without decoding it."""

from pathlib import Path
from typing import Any

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


def _product(shape: Any) -> int:
    product = 1
    for n in shape:
        product *= int(n)
    return product
