"""How whole numbers of images are spread over their cells, by name."""

from collections.abc import Sequence
from functools import partial
from math import prod

from anabranch.distributions import Flow, Logistic
from anabranch.models.generators import make_generator
from anabranch.networks import ConvNet
from anabranch.networks.convnet import largest_patch
from anabranch.transforms import (
    Affine,
    Checkerboard,
    Compose,
    Coupling,
    Reshape,
    Transform,
    UniformDequantization,
    VariationalDequantization,
)

KINDS = ("uniform", "variational")


def make_dequantization(
    kind: str,
    size: tuple[int, int, int],
    levels: int,
    *,
    n_couplings: int = 4,
    channels: int = 16,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Transform:
    """Spread integers 0..levels-1 of rows of pixels over the unit interval.

    Args:
        kind: "uniform", or "variational" for noise by a flow that sees the image: affine couplings
            of checkerboards over a logistic, which starts as uniform noise.
        size: (C, H, W).
        levels: 256 for bytes.
        n_couplings: of the noise's flow.
        channels: width of its networks.
        batch_shape: the component axis of the noise's flow.
        seed: of its initial weights.

    Raises:
        ValueError: for another kind.

    Example:
        >>> make_dequantization("variational", (1, 4, 4), 8, channels=4).event_shape
        (16,)
    """
    if kind not in KINDS:
        raise ValueError(f"dequantization must be one of {list(KINDS)}, got {kind!r}")
    features, stack = prod(size), tuple(batch_shape)
    if kind == "uniform":
        return UniformDequantization(features, levels=levels)
    couple = partial(
        Coupling,
        Affine(),
        size,
        context_features=size,
        conditioner=partial(ConvNet, channels=channels, patch=largest_patch(size)),
        batch_shape=stack,
        generator=make_generator(seed),
    )
    couplings = [couple(split=Checkerboard(size, turn)) for turn in range(n_couplings)]
    noise = Flow(Logistic(size, batch_shape=stack), Compose(couplings))
    layer = VariationalDequantization(size, noise, levels=levels)
    return Compose([Reshape(features, size), layer, Reshape(size, features)])
