"""Posterior networks q(c|x) from plain values."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from anabranch.functional.shapes import Shape
from anabranch.networks import MLP, ConvClassifier
from anabranch.networks.conv import image_size

PosteriorSpec = str | dict[str, Any]


def make_posterior(
    spec: PosteriorSpec,
    features: int,
    n_components: int,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Make the network from rows (N, D) to logits (N, K).

    Args:
        spec: "mlp", {"name": "mlp", "hidden": [64, 64], "activation": "relu"} or {"name": "conv",
            "image_shape": [28, 28], "channels": [16, 32], "hidden": [128], "activation": "relu"};
            all but the name and the shape may be left out.
        features: D.
        n_components: K.
        generator: source of the initial weights.

    Raises:
        ValueError: for an unknown name, sizes that are not positive integers, or an image_shape
            that does not have D pixels.
        TypeError: for a spec that is neither a name nor a dict with one, or a keyword that is
            unknown or missing.

    Example:
        >>> spec = {"name": "conv", "image_shape": [28, 28], "channels": [4]}
        >>> make_posterior(spec, 784, 5)(torch.zeros(2, 784)).shape
        torch.Size([2, 5])
    """
    name, keywords = _name(spec)
    _check_keywords(name, keywords)
    for key in ("hidden", "channels"):
        if key in keywords:
            _check_sizes(key, keywords[key])
    return POSTERIORS[name](features, n_components, generator=generator, **keywords)


def _mlp(
    features: int,
    n_components: int,
    *,
    hidden: Shape = (64, 64),
    activation: str = "relu",
    generator: torch.Generator | None = None,
) -> nn.Module:
    return MLP(features, n_components, hidden, activation=activation, generator=generator)


def _conv(
    features: int,
    n_components: int,
    *,
    image_shape: Shape,
    channels: Shape = (16, 32),
    hidden: Shape = (128,),
    activation: str = "relu",
    generator: torch.Generator | None = None,
) -> nn.Module:
    size = image_size(image_shape, features)
    return ConvClassifier(
        size, n_components, channels, hidden, activation=activation, generator=generator
    )


POSTERIORS: dict[str, Callable[..., nn.Module]] = {"conv": _conv, "mlp": _mlp}


def _name(spec: PosteriorSpec) -> tuple[str, dict[str, Any]]:
    """The name and the keywords of a spec."""
    keywords = {"name": spec} if isinstance(spec, str) else spec
    if not isinstance(keywords, dict) or not isinstance(keywords.get("name"), str):
        raise TypeError(f"posterior must be a name or a dict with a 'name', got {spec!r}")
    name = keywords["name"]
    if name not in POSTERIORS:
        raise ValueError(f"posterior must be one of {sorted(POSTERIORS)}, got {name!r}")
    return name, {key: value for key, value in keywords.items() if key != "name"}


def _check_keywords(name: str, keywords: dict[str, Any]) -> None:
    parameters = inspect.signature(POSTERIORS[name]).parameters.values()
    known = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "generator"]
    names = [p.name for p in known]
    unknown = [key for key in keywords if key not in names]
    if unknown:
        raise TypeError(
            f"posterior {name!r} has no keyword {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(names)}"
        )
    missing = [p.name for p in known if p.default is p.empty and p.name not in keywords]
    if missing:
        raise TypeError(f"posterior {name!r} needs {', '.join(missing)}")


def _check_sizes(key: str, sizes: Any) -> None:
    listed = isinstance(sizes, list | tuple)
    if not listed or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError(f"posterior's {key} must be a list of positive integers, got {sizes!r}")
