"""Posterior networks q(c|x) from plain values."""

from collections.abc import Callable

import torch
from torch import nn

from anabranch.functional.shapes import Shape
from anabranch.models.specs import Spec, parse_spec
from anabranch.networks import MLP, ConvClassifier
from anabranch.networks.conv import image_size


def make_posterior(
    spec: Spec,
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
    name, keywords = parse_spec("posterior", spec, POSTERIORS)
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
