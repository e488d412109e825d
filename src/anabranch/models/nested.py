"""Densities that are parts of a larger model, by the names of their recipes."""

from typing import Any

from anabranch.distributions import Distribution
from anabranch.functional.shapes import Shape
from anabranch.models.registry import build, keywords


def build_density(
    spec: dict[str, Any], features: int, batch_shape: Shape, seed: int | None, *, role: str
) -> Distribution:
    """Build a density of real numbers by a recipe.

    Args:
        spec: {"name": ..., keyword: value} of the recipe.
        features: D.
        batch_shape: the component axis.
        seed: of the initial weights, where the recipe takes one and the spec has none.
        role: what it is to be, for messages.

    Raises:
        ValueError: for an unknown recipe, or one that builds no density of real numbers.
        TypeError: for a keyword that the recipe does not have.

    Example:
        >>> build_density({"name": "maf", "n_layers": 1}, 2, (3,), 0, role="component").batch_shape
        (3,)
    """
    if seed is not None and "seed" in keywords(spec["name"]):
        spec = {"seed": seed, **spec}
    built = build(**spec, features=features, batch_shape=batch_shape)
    if not isinstance(built, Distribution) or getattr(built, "discrete", False):
        raise ValueError(
            f"recipe {spec['name']!r} builds no density of real numbers: it cannot be a {role}"
        )
    return built
