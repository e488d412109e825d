"""Glow: steps of a normalisation, a mixing of channels and a coupling, at several scales."""

from collections.abc import Sequence
from functools import partial

from anabranch.distributions import Flow
from anabranch.models.generators import make_generator
from anabranch.models.images import scales
from anabranch.models.registry import recipe
from anabranch.networks import GlowNet
from anabranch.networks.conv import image_size
from anabranch.transforms import Channels, Compose, Coupling, Squeeze


@recipe
def glow(
    features: int,
    *,
    image_shape: Sequence[int],
    n_levels: int | None = None,
    n_steps: int = 4,
    channels: int = 64,
    coupling: str = "affine",
    mixing: str = "conv",
    bound: float = 1.0,
    half_precision: bool = False,
    shared_levels: int = 0,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Squares become channels, then steps: normalise, mix channels, move half; then half leaves.

    .. math:: h = W\, e^{s} (x - m), \qquad z_A = h_A, \quad z_B = h_B\, e^{s(h_A)} + t(h_A)

    Latents are standard normal at all scales; `anabranch.distributions.tempered` samples them
    narrower.

    Source: Kingma, Dhariwal (2018), "Glow: generative flow with invertible 1x1 convolutions",
    arXiv:1807.03039.

    Args:
        features: D = C H W.
        image_shape: (H, W) or (C, H, W).
        n_levels: scales, each of half the sides; by default as many as halve, up to 3.
        n_steps: steps of each scale.
        channels: width of the networks.
        coupling: "affine" or "additive".
        mixing: of channels: "conv", "shuffle" or "reverse".
        bound: limit of the log-scale of one coupling.
        half_precision: whether networks compute in bfloat16 while training.
        shared_levels: scales, the first ones, that all components share.
        context_features: size of a context, which reaches all networks and the priors.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: where image_shape does not have D pixels, or sides that n_levels cannot halve.

    Example:
        >>> glow(16, image_shape=[4, 4], n_steps=2, channels=8, seed=0).sample(3).shape
        torch.Size([3, 16])
    """
    size, stack = image_size(image_shape, features), tuple(batch_shape)
    levels, shapes, source = [], scales.level_shapes(size, n_levels), make_generator(seed)
    network = partial(GlowNet, channels=channels, half_precision=half_precision)
    couple = partial(Coupling, scales.coupling_map(coupling, bound), conditioner=network)
    for level, outer in enumerate(shapes, 1):
        own, last = partial(dict, generator=source), level == len(shapes)
        drawn = own(batch_shape=stack if level > shared_levels else ())
        parts, shape = [Squeeze(outer)], (4 * outer[0], outer[1] // 2, outer[2] // 2)
        for _ in range(n_steps):
            move = couple(shape, split=Channels(shape), context_features=context_features, **drawn)
            parts += [*scales.mix_channels(mixing, shape, **drawn), move]
        # components that share a scale have priors of their own behind it
        given = own(batch_shape=stack if level >= shared_levels else ())
        prior = scales.top_prior if last else scales.split_prior
        levels.append(Compose([*parts, prior(shape, context_features=context_features, **given)]))
    return scales.image_flow(size, levels, stack)
