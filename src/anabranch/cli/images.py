"""Settings that follow from what a table holds: images, and bytes."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from anabranch.cli.settings import place, put
from anabranch.data import Table
from anabranch.estimators.estimator import Estimator
from anabranch.models import list_recipes
from anabranch.models.registry import keywords

BYTE_LEVELS = 256
# settings that hold a name or a spec, and the names of those that have to know the shape
PARTS = ("perturbation", "posterior", "flow", "trunk", "network", "classifier")
OF_IMAGES = ("affine", "conv")


def holds_bytes(table: Table) -> bool:
    """Whether a table holds images of bytes."""
    X = table.X
    if table.image_shape is None or not np.isfinite(X).all():
        return False
    return bool((X.min() >= 0) & (X.max() < BYTE_LEVELS) & (np.floor(X) == X).all())


def for_images(
    estimator: type[Estimator], settings: Mapping[str, Any], shape: tuple[int, ...]
) -> dict[str, Any]:
    """Settings whose parts know the shape of the images, where they need it and were not told.

    Where a network learns from perturbed images alone, these are shifted and turned.

    Example:
        >>> from anabranch import FlowMixture
        >>> found = for_images(FlowMixture, {"posterior": "conv", "n_init": 2}, (8, 8))
        >>> found["posterior"], found["n_init"]
        ({'image_shape': [8, 8], 'name': 'conv'}, 2)
    """
    told = _told(settings, shape)
    if place(estimator, "image_shape") and not told.get("image_shape"):
        told["image_shape"] = list(shape)
    perturbation = place(estimator, "perturbation")
    if "invariant" in _leaves(settings) and perturbation and not _at(told, perturbation):
        put(told, perturbation, {"name": "affine", "image_shape": list(shape)})
    return told


def _told(node: Any, shape: tuple[int, ...], *, part: bool = False) -> Any:
    if isinstance(node, Mapping):
        inner = {key: _told(item, shape, part=key in PARTS) for key, item in node.items()}
        known = part and _of_images(node.get("name"))
        return {"image_shape": list(shape), **inner} if known else inner
    if isinstance(node, list):
        return [_told(item, shape, part=part) for item in node]
    if part and isinstance(node, str) and _of_images(node):
        return {"image_shape": list(shape), "name": node}
    return node


def _of_images(name: Any) -> bool:
    return name in OF_IMAGES or (name in list_recipes() and "image_shape" in keywords(name))


def _leaves(node: Any) -> Iterator[Any]:
    if isinstance(node, Mapping):
        for item in node.values():
            yield from _leaves(item)
    else:
        yield node


def _at(settings: Mapping[str, Any], key: str) -> Any:
    node: Any = settings
    for name in key.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node
