"""Glow given an image: conditional couplings, splits and prior."""

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

from anabranch.distributions import Flow, Normal
from anabranch.functional.shapes import Shape
from anabranch.models.generators import make_generator
from anabranch.models.images import scales
from anabranch.models.registry import recipe
from anabranch.networks import ContextPyramid, ConvNet
from anabranch.networks.conv import image_size
from anabranch.transforms import (
    Affine,
    Channels,
    Compose,
    Coupling,
    EmbeddedTransform,
    GivenPart,
    MultiScale,
    Reshape,
    Squeeze,
    Transform,
)


@recipe
def conditional_glow(
    features: int,
    *,
    image_shape: Sequence[int],
    condition_shape: Sequence[int],
    n_levels: int | None = None,
    n_steps: int = 4,
    channels: int = 32,
    condition_channels: int = 8,
    bound: float = 1.0,
    context_features: int | None = None,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Glow whose couplings, splits and prior see what a network makes of another image.

    .. math:: p(y \mid x) = p(z_L \mid x) \prod_{l < L} p(z_l \mid h_l, x)\,
        \Bigl|\tfrac{\partial z}{\partial y}\Bigr|

    The image x is encoded once, at each scale of the flow (`anabranch.networks.ContextPyramid`),
    and both are trained together: super-resolution, completion, one image from another. All latents
    are standard normal; the conditional means and scales are affine couplings.

    Source: Winkler, Worrall, Hoogeboom, Welling (2019), "Learning likelihoods with conditional
    normalizing flows", arXiv:1912.00042; Glow: arXiv:1807.03039.

    Args:
        features: D = C H W.
        image_shape: (H, W) or (C, H, W) of y.
        condition_shape: (H', W') or (C', H', W') of x, which comes as a row.
        n_levels: scales, each of half the sides; by default as many as halve, up to 3.
        n_steps: steps of each scale.
        channels: width of the couplings' networks.
        condition_channels: of the encoded x at each scale.
        bound: limit of the log-scale of one coupling.
        context_features: size of x, which condition_shape says; whoever gives it agrees.
        batch_shape: the component axis; x is encoded once for all components.
        seed: of the initial weights.

    Raises:
        ValueError: for shapes that do not fit, or sides that n_levels cannot halve.

    Example:
        >>> import torch
        >>> flow = conditional_glow(16, image_shape=[4, 4], condition_shape=[2, 2], channels=8)
        >>> flow.sample(3, context=torch.zeros(4)).shape
        torch.Size([3, 16])
    """
    size, given = image_size(image_shape, features), image_size(condition_shape, context_features)
    stack = tuple(batch_shape)
    source, outers = make_generator(seed), scales.level_shapes(size, n_levels)
    shapes: list[Shape] = [(4 * c, h // 2, w // 2) for c, h, w in outers]
    sides = [(h, w) for _, h, w in shapes]
    pyramid = ContextPyramid(given, sides, channels=condition_channels, generator=source)
    drawn: dict[str, Any] = {"batch_shape": stack, "generator": source}
    couple = partial(Coupling, conditioner=partial(ConvNet, channels=channels), **drawn)
    levels, start = [], 0
    for outer, shape, seen in zip(outers, shapes, pyramid.shapes, strict=True):
        told: Any = {"split": Channels(shape), "context_features": seen}
        parts: list[Transform] = [Squeeze(outer)]
        for _ in range(n_steps):
            parts += scales.mix_channels("conv", shape, **drawn)
            parts.append(couple(Affine(bound), shape, **told))
        last = len(levels) + 1 == len(outers)
        if not last:
            parts.append(couple(Affine(scales.PRIOR_BOUND), shape, **told))
        whole = [GivenPart(Compose(parts), pyramid.size, start=start)]
        if last:
            top = scales.top_prior(shape, context_features=prod(seen), **drawn)
            whole.append(GivenPart(top, pyramid.size, start=start))
        levels.append(Compose(whole))
        start += prod(seen)
    flow = Compose([Reshape(features, size), MultiScale(levels)])
    return Flow(Normal(features, batch_shape=stack), EmbeddedTransform(flow, pyramid, prod(given)))
