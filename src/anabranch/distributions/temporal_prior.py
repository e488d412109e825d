"""The latents of a video, frame after frame and scale after scale."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import interpolate, pad

from anabranch.contracts.distribution import Distribution
from anabranch.functional import bounded, standard_normal_log_prob
from anabranch.functional.shapes import Shape
from anabranch.networks import CausalVideoNet


class TemporalPrior(Distribution):
    r"""Normals of latents, told those of the frames before and the coarser ones of the same frame.

    .. math:: p(z) = \prod_t \prod_l \mathcal N\bigl(z_t^l;\, z_{t-1}^l + \mu, \sigma\bigr), \qquad
        (\mu, \log \sigma) = \mathrm{NN}_l(z_{<t}^l, z_{\le t}^{>l})

    A frame's latent holds its scales one after another, the finest first, as `MultiScale` gives
    them. Networks are causal in time, so that a density takes one pass and a draw one a frame and
    scale. Before the first frame all is zero; fresh, it is a random walk.

    Args:
        part_shapes: (C, H, W) of each scale, the finest first.
        length: frames, T.
        channels: width of the networks.
        dilations: of time, of each network's blocks.
        bound: limit of the log-scales.
        past: whether frames before are seen; if not, frames are independent of each other.
        generator: source of the initial weights.

    Raises:
        ValueError: for no scale or frame.

    Source: Kumar et al. (2019), "VideoFlow: a conditional flow-based model for stochastic video
    generation", arXiv:1903.01434.

    Example:
        >>> prior = TemporalPrior([(2, 2, 2), (4, 1, 1)], 3, channels=4)
        >>> prior.log_prob(torch.zeros(5, 36)).shape, prior.sample(2).shape
        (torch.Size([5]), torch.Size([2, 36]))
    """

    def __init__(
        self,
        part_shapes: Sequence[Shape],
        length: int,
        *,
        channels: int = 32,
        dilations: Sequence[int] = (1, 2),
        bound: float = 5.0,
        past: bool = True,
        generator: Generator | None = None,
    ) -> None:
        if not part_shapes or length < 1:
            raise ValueError(
                f"a prior needs scales and frames, got {list(part_shapes)} and {length}"
            )
        self.part_shapes = [tuple(shape) for shape in part_shapes]
        self.sizes = [prod(shape) for shape in self.part_shapes]
        super().__init__(length * sum(self.sizes))
        self.length, self.bound, self.past = length, bound, past
        # how many frames before a frame its networks see, at most
        self.reach = 1 + (sum(dilations) if past else 0)
        depths = [shape[0] for shape in self.part_shapes]
        self.networks = nn.ModuleList(
            CausalVideoNet(
                sum(depths[level:]),
                2 * depth,
                channels=channels,
                dilations=dilations if past else [],
                generator=generator,
            )
            for level, depth in enumerate(depths)
        )

    def frame_log_probs(self, z: Tensor) -> Tensor:
        """Log-densities of frames given those before, (N, T), for latents (N, T, size)."""
        parts = self._parts(z)
        total = z.new_zeros(z.shape[:2])
        for level, part in enumerate(parts):
            loc, log_scale = self._told(level, parts)
            rows = ((part - loc) * (-log_scale).exp()).transpose(1, 2).flatten(2)
            total = total + standard_normal_log_prob(rows) - log_scale.sum((1, 3, 4))
        return total

    @torch.no_grad()
    def extend(
        self,
        z: Tensor,
        n_frames: int,
        *,
        temperature: float = 1.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """Draw further frames behind latents (N, T, size), (N, T + n_frames, size).

        Args:
            z: of the frames before; there may be none.
            n_frames: how many.
            temperature: by which standard deviations are multiplied.
            generator: source of randomness.
        """
        return self._extended(z, n_frames, temperature, generator)

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self.frame_log_probs(x.reshape(len(x), self.length, sum(self.sizes))).sum(1)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        weight = next(self.parameters())
        start = weight.new_zeros(n, 0, sum(self.sizes))
        return self._extended(start, self.length, 1.0, generator).flatten(1)

    def _extended(
        self, z: Tensor, n_frames: int, temperature: float, generator: Generator | None
    ) -> Tensor:
        for _ in range(n_frames):
            # what a frame may see reaches no further back than this
            z_seen = torch.cat((z[:, -self.reach :], z.new_zeros(len(z), 1, z.shape[2])), 1)
            parts = self._parts(z_seen)
            for level in reversed(range(len(parts))):
                loc, log_scale = (told[:, :, -1] for told in self._told(level, parts))
                noise = torch.randn(
                    loc.shape, generator=generator, dtype=loc.dtype, device=loc.device
                )
                drawn = loc + temperature * log_scale.exp() * noise
                before = parts[level][:, :, :-1]
                parts[level] = torch.cat((before, drawn.unsqueeze(2)), 2)
            frame = torch.cat([part[:, :, -1].flatten(1) for part in parts], 1)
            z = torch.cat((z, frame.unsqueeze(1)), 1)
        return z

    def _parts(self, z: Tensor) -> list[Tensor]:
        """Latents (N, T, size) as videos of each scale, (N, C, T, H, W)."""
        split = zip(z.split(self.sizes, -1), self.part_shapes, strict=True)
        return [part.unflatten(-1, shape).transpose(1, 2) for part, shape in split]

    def _told(self, level: int, parts: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Means and log-scales of a scale at all frames."""
        own, side = parts[level], self.part_shapes[level][1:]
        shifted = pad(own[:, :, :-1], (0, 0, 0, 0, 1, 0))
        before = shifted if self.past else torch.zeros_like(own)
        seen = [before, *(_resized(part, side) for part in parts[level + 1 :])]
        step, raw = self.networks[level](torch.cat(seen, 1)).chunk(2, 1)
        return before + step, bounded(raw, self.bound)


def _resized(part: Tensor, side: Shape) -> Tensor:
    """The same videos with frames of other sides, whose pixels are repeated."""
    n_frames = part.shape[2]
    return interpolate(part, (n_frames, *side), mode="nearest")
