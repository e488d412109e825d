"""Densities that are parts of a larger model, by the names of their recipes."""

from torch import Generator

from anabranch.distributions import Distribution
from anabranch.functional.shapes import Shape
from anabranch.models.registry import build, keywords
from anabranch.models.specs import Spec, split_spec


def build_inner_density(
    spec: Spec,
    features: int,
    batch_shape: Shape,
    seed: int | Generator | None,
    *,
    role: str,
    context_features: int = 0,
) -> Distribution:
    """Build a density of real numbers by a recipe.

    Args:
        spec: "name" or {"name": ..., keyword: value} of the recipe.
        features: D.
        batch_shape: the component axis.
        seed: of the initial weights, or their source, where the recipe takes one and the spec has
            none.
        role: what it is to be, for messages.
        context_features: size of its context; 0 for none.

    Raises:
        ValueError: for an unknown recipe, or one that builds no density of D real numbers, or
            takes no context where there is one.
        TypeError: for a keyword that the recipe does not have.

    Example:
        >>> spec = {"name": "maf", "n_layers": 1}
        >>> build_inner_density(spec, 2, (3,), 0, role="component").batch_shape
        (3,)
    """
    name, settings = split_spec(role, spec)
    known = keywords(name)
    if seed is not None and "seed" in known:
        settings = {"seed": seed, **settings}
    if context_features:
        if "context_features" not in known:
            raise ValueError(f"recipe {name!r} takes no context: it cannot be a {role} with one")
        settings["context_features"] = context_features
    built = build(name, **settings, features=features, batch_shape=batch_shape)
    if (
        isinstance(built, Distribution)
        and not getattr(built, "discrete", False)
        and built.event_shape == (features,)
    ):
        return built
    raise ValueError(f"recipe {name!r} builds no density of real numbers: it cannot be a {role}")
