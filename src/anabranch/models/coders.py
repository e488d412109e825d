"""Encoders and decoders from plain values, and the classifier that goes with them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from anabranch.models.specs import Spec, parse_spec
from anabranch.networks import MLP, ConvDecoder, ConvEncoder, LabelledMLP
from anabranch.networks.conv import image_size
from anabranch.networks.conv_encoder import check_levels


class Coders(NamedTuple):
    """What makes the networks of an autoencoder.

    Attributes:
        encoder: from the numbers of labels and of outputs to a network of rows and labels.
        decoder: from the size of the code and the number of outputs per feature to a network.
        classifier: spec of a network of classes, see
            `anabranch.models.mixtures.posterior.make_posterior`.
    """

    encoder: Callable[[int, int], LabelledMLP | ConvEncoder]
    decoder: Callable[[int, int], MLP | ConvDecoder]
    classifier: dict[str, Any]


def make_coders(
    spec: Spec, features: int, hidden: Sequence[int], activation: str = "relu", **how: Any
) -> Coders:
    """Networks of rows of that many features.

    Args:
        spec: "mlp", {"name": "mlp", "hidden": [500, 500]} or {"name": "conv", "image_shape": [28,
            28], "channels": [16, 32], "strides": [2, 2], "residual": false, "hidden": [128]}; all
            but the name and the shape may be left out.
        features: D.
        hidden: hidden sizes of an MLP that says none, in reverse for the decoder.
        activation: of all networks.
        how: further keywords of the networks, such as ``generator``.

    Raises:
        ValueError: for an unknown name, sizes that are not positive integers, strides that are not
            as many as channels, or an image_shape that does not have D pixels.
        TypeError: for a spec that is neither a name nor a dict with one, or a keyword that is
            unknown or missing.

    Example:
        >>> coders = make_coders({"name": "conv", "image_shape": [28, 28]}, 784, [])
        >>> coders.decoder(10, 2).last
        StridedConv2d(16, 2, stride=2, enlarged=(28, 28))
    """
    name, keywords = parse_spec("network", spec, NETWORKS)
    if name == "mlp":
        keywords.setdefault("hidden", hidden)
    return NETWORKS[name](features, {"activation": activation, **how}, **keywords)


def _mlp(features: int, how: dict[str, Any], *, hidden: Sequence[int] = ()) -> Coders:
    return Coders(
        lambda labels, outputs: LabelledMLP(features, labels, outputs, hidden, **how),
        lambda code, each: MLP(code, each * features, list(reversed(hidden)), **how),
        {"name": "mlp", "hidden": list(hidden), "activation": how["activation"]},
    )


def _conv(
    features: int,
    how: dict[str, Any],
    *,
    image_shape: Sequence[int],
    channels: Sequence[int] = (16, 32),
    strides: Sequence[int] | None = None,
    residual: bool = False,
    hidden: Sequence[int] = (128,),
) -> Coders:
    size, strides = image_size(image_shape, features), check_levels(channels, strides)
    if not isinstance(residual, bool):
        raise ValueError(f"network's residual must be true or false, got {residual!r}")
    sizes = {"hidden": hidden, "residual": residual, **how}
    # its poolings halve the sides where the strides do
    halved = [c for c, stride in zip(channels, strides, strict=True) if stride > 1]
    classifier = {"channels": halved or list(channels), "hidden": list(hidden)}
    return Coders(
        lambda labels, outputs: ConvEncoder(size, labels, outputs, channels, strides, **sizes),
        lambda code, each: ConvDecoder(code, size, each, channels, strides, **sizes),
        {"name": "conv", "image_shape": size, "activation": how["activation"], **classifier},
    )


NETWORKS: dict[str, Callable[..., Coders]] = {"conv": _conv, "mlp": _mlp}
