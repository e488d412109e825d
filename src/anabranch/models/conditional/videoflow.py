"""VideoFlow: a flow of frames, and a prior of their latents over time."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from anabranch.distributions import Flow, TemporalPrior
from anabranch.models.generators import make_generator
from anabranch.models.images import scales
from anabranch.models.registry import recipe
from anabranch.networks import GlowNet
from anabranch.networks.conv import image_size
from anabranch.transforms import (
    Affine,
    Channels,
    Compose,
    Coupling,
    FrameWise,
    Logit,
    MultiScale,
    Reshape,
    Squeeze,
    Transform,
    UniformDequantization,
)


class VideoFlow(Flow):
    """A flow of each frame, whose latents follow a `TemporalPrior`.

    Events are rows: frame after frame, and of a frame channel after channel, row after row.

    Args:
        base: the prior.
        transform: of all frames.

    Example:
        >>> model = videoflow(48, length=3, image_shape=[4, 4], n_steps=1, channels=4, seed=0)
        >>> model.sample(2).shape, model.extend(torch.zeros(2, 1, 16), 5).shape
        (torch.Size([2, 48]), torch.Size([2, 6, 16]))
    """

    def __init__(self, base: TemporalPrior, transform: FrameWise) -> None:
        super().__init__(base, transform)
        self.prior, self.frames = base, transform

    def frame_log_probs(self, x: Tensor, *, generator: Generator | None = None) -> Tensor:
        """Log-density of each frame given those before, (N, T) in nats, for rows (N, T D).

        What is conditional on the first n frames is the sum of what comes behind them.
        """
        z, term = self.frames.encode_frames(x, generator=generator)
        return self.prior.frame_log_probs(z) + term

    @torch.no_grad()
    def extend(
        self,
        frames: Tensor,
        n_frames: int,
        *,
        temperature: float = 1.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """Draw what follows, however much longer than the videos that it was trained on.

        Args:
            frames: (N, T, D) the first ones, at least one.
            n_frames: how many more.
            temperature: of the prior, below one for likelier videos.
            generator: source of randomness.

        Returns:
            (N, T + n_frames, D).

        Raises:
            ValueError: for frames of another size.
        """
        size = self.frames.transform.event_shape[0]
        if frames.ndim != 3 or frames.shape[2] != size or not frames.shape[1]:
            raise ValueError(f"frames must have shape (N, T, {size}), got {tuple(frames.shape)}")
        z, _ = self.frames.encode_frames(frames.flatten(1), generator=generator)
        longer = self.prior.extend(z, n_frames, temperature=temperature, generator=generator)
        new = longer[:, z.shape[1] :].flatten(0, 1)
        drawn, _ = self.frames.transform.decode(new, generator=generator)
        return torch.cat((frames, drawn.reshape(len(frames), n_frames, size)), 1)


@recipe
def videoflow(
    features: int,
    *,
    length: int,
    image_shape: Sequence[int],
    levels: int | None = None,
    n_levels: int | None = None,
    n_steps: int = 4,
    channels: int = 32,
    prior_channels: int = 32,
    dilations: Sequence[int] = (1, 2),
    past: bool = True,
    bound: float = 1.0,
    alpha: float = 0.05,
    seed: int | None = None,
) -> VideoFlow:
    r"""Glow of single frames at several scales; their latents are normals told by those before.

    .. math:: \log p(x) = \sum_t \Bigl[\log\Bigl|\tfrac{\partial z_t}{\partial x_t}\Bigr|
        + \sum_l \log \mathcal N\bigl(z_t^l;\, \mu(z_{<t}^l, z_t^{>l}), \sigma\bigr)\Bigr]

    Source: Kumar et al. (2019), "VideoFlow: a conditional flow-based model for stochastic video
    generation", arXiv:1903.01434.

    Args:
        features: T C H W.
        length: frames, T, of the videos that it is trained on.
        image_shape: (H, W) or (C, H, W) of a frame.
        levels: pixels are integers 0..levels-1, which are dequantized; None for real numbers.
        n_levels: scales, each of half the sides; by default as many as halve, up to 3.
        n_steps: steps of each scale.
        channels: width of the couplings' networks.
        prior_channels: width of the prior's networks.
        dilations: of time, of the prior's blocks.
        past: whether the prior sees frames before; if not, frames are independent of each other.
        bound: limit of the log-scale of one coupling.
        alpha: margin of the logit of integers.
        seed: of the initial weights.

    Raises:
        ValueError: for shapes that do not fit, or sides that n_levels cannot halve.

    Example:
        >>> model = videoflow(48, length=3, image_shape=[4, 4], n_steps=1, channels=4, seed=0)
        >>> model.frame_log_probs(torch.zeros(2, 48)).shape
        torch.Size([2, 3])
    """
    if length < 1 or features % length:
        raise ValueError(f"length must divide features={features}, got {length}")
    frame = features // length
    size, source = image_size(image_shape, frame), make_generator(seed)
    parts: list[Transform] = []
    if levels is not None:
        parts = [UniformDequantization(frame, levels=levels), Logit(frame, alpha=alpha)]
    pyramid = _frame_flow(size, n_levels, n_steps, channels, bound, source)
    prior = TemporalPrior(
        pyramid.part_shapes,
        length,
        channels=prior_channels,
        dilations=dilations,
        past=past,
        generator=source,
    )
    flow = Compose([*parts, Reshape(frame, size), pyramid])
    return VideoFlow(prior, FrameWise(flow, length))


def _frame_flow(
    size: tuple[int, int, int],
    n_levels: int | None,
    n_steps: int,
    channels: int,
    bound: float,
    source: Any,
) -> MultiScale:
    """Steps of each scale, and no priors of their own."""
    network = partial(GlowNet, channels=channels)
    found = []
    for outer in scales.level_shapes(size, n_levels):
        shape = (4 * outer[0], outer[1] // 2, outer[2] // 2)
        parts: list[Transform] = [Squeeze(outer)]
        for _ in range(n_steps):
            parts += scales.mix_channels("conv", shape, generator=source)
            split = Channels(shape)
            coupling = partial(Coupling, Affine(bound), shape, split=split, conditioner=network)
            parts.append(coupling(generator=source))
        found.append(Compose(parts))
    return MultiScale(found)
