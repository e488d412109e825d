"""What image flows of several scales share."""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import torch

from anabranch.distributions import Flow, Normal
from anabranch.functional.shapes import Shape
from anabranch.networks import GlowNet
from anabranch.transforms import (
    ActNorm,
    Additive,
    Affine,
    Channels,
    Checkerboard,
    Compose,
    Coupling,
    Elementwise,
    InvertibleConv,
    MixtureLogisticCDF,
    MultiScale,
    Permutation,
    Reshape,
    ScalarMap,
    Transform,
)

# scales that a recipe takes where nothing is said
MOST_LEVELS = 3
# limit of the log-scale of a learned prior
PRIOR_BOUND = 3.0
MIXINGS = ("conv", "shuffle", "reverse")


def image_flow(size: Shape, levels: Sequence[Transform], batch_shape: Shape) -> Flow:
    """A flow of rows of pixels whose levels see images, over standard normal latents.

    Args:
        size: (C, H, W).
        levels: as of `MultiScale`.
        batch_shape: the component axis.

    Example:
        >>> from anabranch.transforms import Squeeze
        >>> image_flow((1, 4, 4), [Squeeze((1, 4, 4))], ()).event_shape
        (16,)
    """
    features = prod(size)
    base = Normal(features, batch_shape=batch_shape)
    return Flow(base, Compose([Reshape(features, size), MultiScale(levels)]))


def level_shapes(size: Shape, n_levels: int | None, *, least: int = 1) -> list[Shape]:
    """The shapes of what each level squeezes, where half of the channels leaves after each.

    Args:
        size: (C, H, W).
        n_levels: how many; by default as many as the sides can be halved, up to 3.
        least: how many there must be.

    Raises:
        ValueError: where sides are odd before that.

    Example:
        >>> level_shapes((1, 28, 28), None)
        [(1, 28, 28), (2, 14, 14)]
    """
    if n_levels is not None and n_levels < least:
        raise ValueError(f"a flow of this kind squeezes at least {least} times, got {n_levels}")
    shapes: list[Shape] = []
    channels, height, width = size
    while len(shapes) < (MOST_LEVELS if n_levels is None else n_levels):
        if height % 2 or width % 2:
            break
        shapes.append((channels, height, width))
        channels, height, width = 2 * channels, height // 2, width // 2
    wanted = least if n_levels is None else n_levels
    if len(shapes) < wanted:
        raise ValueError(
            f"sides must be even {wanted} times over to be halved as often, "
            f"but {size[1]} x {size[2]} is {height} x {width} after {len(shapes)}"
        )
    return shapes


def coupling_map(name: str, bound: float, components: int = 8) -> ScalarMap:
    """What a coupling does to a number.

    Args:
        name: "affine", "additive", or "mixture" for a mixture's logit.
        bound: limit of the log-scale.
        components: of the mixture.

    Raises:
        ValueError: for another name.

    Example:
        >>> coupling_map("additive", 1.0)
        Additive()
    """
    maps: dict[str, Callable[[], ScalarMap]] = {
        "additive": Additive,
        "affine": partial(Affine, bound),
        "mixture": partial(MixtureLogisticCDF, components, scale_bound=bound),
    }
    if name not in maps:
        raise ValueError(f"coupling must be one of {sorted(maps)}, got {name!r}")
    return maps[name]()


def mix_channels(
    name: str, shape: Shape, *, batch_shape: Shape = (), generator: torch.Generator | None = None
) -> list[Transform]:
    """Normalise channels, and mix or permute them.

    Args:
        name: "conv", "shuffle" or "reverse".
        shape: (C, H, W).
        batch_shape: the component axis; a permutation is the same for all.
        generator: source of the rotation, or of the permutation.

    Raises:
        ValueError: for another name.

    Example:
        >>> [type(part).__name__ for part in mix_channels("reverse", (4, 2, 2))]
        ['ActNorm', 'Permutation']
    """
    if name not in MIXINGS:
        raise ValueError(f"mixing must be one of {list(MIXINGS)}, got {name!r}")
    stack: dict[str, Any] = {"batch_shape": batch_shape}
    if name == "conv":
        conv = InvertibleConv(shape, rotation=True, actnorm=True, generator=generator, **stack)
        return [conv]
    order = list(range(shape[0]))[::-1]
    if name == "shuffle":
        order = torch.randperm(shape[0], generator=generator, device="cpu").tolist()
    return [ActNorm(shape, **stack), Permutation(order, places=shape[1:])]


def alternate(
    kind: type[Checkerboard] | type[Channels],
    shape: Shape,
    count: int,
    scalar_map: ScalarMap,
    *,
    network: Callable[..., Any],
    patch: int = 1,
    **settings: Any,
) -> list[Transform]:
    """Couplings that move one part and the other in turn, each behind a normalisation.

    Args:
        kind: of splits; an image of one place has no board, and is split by channels.
        shape: (C, H, W).
        count: of couplings.
        scalar_map: of the couplings.
        network: makes conditioners, such as ``partial(ConvNet, channels=32)``.
        patch: of the networks, where such squares tile the image; 1 elsewhere.
        settings: context_features, batch_shape and generator.

    Example:
        >>> from functools import partial
        >>> from anabranch.networks import ConvNet
        >>> len(alternate(Channels, (2, 4, 4), 3, Affine(), network=partial(ConvNet, channels=4)))
        6
    """
    kind = Channels if shape[1:] == (1, 1) else kind
    tiles = shape[1] % patch == shape[2] % patch == 0
    conditioner = partial(network, patch=patch if tiles else 1)
    parts: list[Transform] = []
    for turn in range(count):
        parts.append(ActNorm(shape, batch_shape=settings.get("batch_shape", ())))
        split = kind(shape, turn)
        parts.append(Coupling(scalar_map, shape, split=split, conditioner=conditioner, **settings))
    return parts


def split_prior(shape: Shape, **settings: Any) -> Transform:
    """Standardise the channels that leave, given those that stay: a learned conditional prior.

    Args:
        shape: (C, H, W), of which the last C - C // 2 channels leave.
        settings: context_features, batch_shape and generator.

    Example:
        >>> split_prior((4, 2, 2)).event_shape
        (4, 2, 2)
    """
    one = _one_convolution
    return Coupling(Affine(PRIOR_BOUND), shape, split=Channels(shape), conditioner=one, **settings)


def top_prior(shape: Shape, **settings: Any) -> Transform:
    """Standardise what is left at the end by a mean and a scale for each place, and context.

    Args:
        shape: (C, H, W).
        settings: context_features, batch_shape and generator.

    Example:
        >>> top_prior((4, 2, 2), context_features=10).latent_shape
        (16,)
    """
    size = prod(shape)
    return Compose(
        [Reshape(shape, size), Elementwise(Affine(PRIOR_BOUND), size, hidden=(), **settings)]
    )


def _one_convolution(*shapes: Shape, **settings: Any) -> GlowNet:
    return GlowNet(*shapes, channels=0, **settings)
