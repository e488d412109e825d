"""A flow of several scales: after each, half of the channels is done."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.transform import Pair, Transform
from anabranch.functional import as_rows, expand_batch
from anabranch.functional.shapes import Shape
from anabranch.transforms.splits import Channels


class MultiScale(Transform):
    r"""Scales one after another; behind each but the last one half of the channels leaves.

    .. math:: (h_l, z_l) = \operatorname{split} f_l(h_{l-1}), \qquad z = (z_1, \dots, z_L), \quad
        \mathrm{term} = \sum_l \mathrm{term}_l

    The latent is one vector: what left first stands first. So the map is a bijection, its base is
    one distribution of all scales, and interpolation, temperature and storage need nothing of their
    own. What leaves is meant to be standard normal: a scale ends with an affine coupling of the
    leaving half given the staying one, which is the learned conditional prior
    :math:`\mathcal N(z_l;\, \mu(h_l), \sigma(h_l))` seen as a transform (`FactorOut` is the same
    where the prior is no transform).

    Scales without a component axis before scales with one are shared by all components and
    evaluated once.

    Args:
        scales: each takes the first C // 2 channels of the image that the one before gives.

    Raises:
        ValueError: where scales do not fit together, or one but the last gives no
            image of at least two channels.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), "Real NVP", arXiv:1605.08803, section 3.6; learned
    conditional priors: Kingma, Dhariwal (2018), "Glow", arXiv:1807.03039.

    Example:
        >>> from anabranch.transforms import Squeeze
        >>> pyramid = MultiScale([Squeeze((1, 4, 4)), Squeeze((2, 2, 2))])
        >>> pyramid.encode(torch.arange(16.0).reshape(1, 1, 4, 4))[0][0, :8]
        tensor([ 4.,  6., 12., 14.,  5.,  7., 13., 15.])
    """

    def __init__(self, scales: Sequence[Transform]) -> None:
        if not scales:
            raise ValueError("MultiScale needs at least one scale")
        splits = [Channels(scale.latent_shape) for scale in scales[:-1]]
        for number, (split, after) in enumerate(zip(splits, scales[1:], strict=True), 1):
            if split.kept_shape != after.event_shape:
                raise ValueError(
                    f"MultiScale: scale {number} leaves {split.kept_shape}, "
                    f"scale {number + 1} takes {after.event_shape}"
                )
        contexts = {scale.context_shape for scale in scales} - {()}
        stacks = {scale.batch_shape for scale in scales} - {()}
        if len(contexts) > 1 or len(stacks) > 1:
            raise ValueError(
                f"scales must agree in context and batch shape, got {contexts} and {stacks}"
            )
        super().__init__(
            scales[0].event_shape,
            prod(scales[0].event_shape),
            batch_shape=stacks.pop() if stacks else (),
            context_shape=contexts.pop() if contexts else (),
        )
        self.scales, self.splits = nn.ModuleList(scales), nn.ModuleList(splits)
        self.exact = all(scale.exact for scale in scales)
        self.stochastic = any(scale.stochastic for scale in scales)
        self.bijective = all(scale.bijective for scale in scales)
        self.part_shapes: list[Shape] = [
            *(split.told_shape for split in splits),
            scales[-1].latent_shape,
        ]

    def parts(self, z: Tensor) -> list[Tensor]:
        """What each scale gave to a latent (..., D), in the shape in which it left.

        Example:
            >>> from anabranch.transforms import Squeeze
            >>> pyramid = MultiScale([Squeeze((1, 4, 4)), Squeeze((2, 2, 2))])
            >>> [part.shape for part in pyramid.parts(torch.zeros(5, 16))]
            [torch.Size([5, 2, 2, 2]), torch.Size([5, 8, 1, 1])]
        """
        sizes = [prod(shape) for shape in self.part_shapes]
        parts = z.split(sizes, -1)
        return [part.unflatten(-1, s) for part, s in zip(parts, self.part_shapes, strict=True)]

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        gone, total = [], x.new_zeros(())
        for scale, split in zip(self._each(), [*self._splits(), None], strict=True):
            x, term = scale._encode(x, context, generator)
            total = total + term
            if split is not None:
                x, part = split.split(x)
                gone.append(part)
        lead = total.shape
        shaped = zip([*gone, x], self.part_shapes, strict=True)
        rows = [as_rows(part, shape).expand(*lead, -1) for part, shape in shaped]
        return torch.cat(rows, -1), total

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        *gone, x = self.parts(expand_batch(z, self.batch_shape, 1))
        scales, splits = self._each(), self._splits()
        x, total = scales[-1]._decode(x, context, generator)
        for scale, split, part in reversed(list(zip(scales, splits, gone, strict=False))):
            x, term = scale._decode(split.merge(x, part), context, generator)
            total = total + term
        return x, total

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        for scale, split in zip(self._each(), [*self._splits(), None], strict=True):
            scale._initialize(x, context, generator)
            x, _ = scale._encode(x, context, generator)
            x = x if split is None else split.split(x)[0]

    def _each(self) -> list[Transform]:
        return list(self.scales)  # pyright: ignore[reportReturnType] - it holds nothing else

    def _splits(self) -> list[Channels]:
        return list(self.splits)  # pyright: ignore[reportReturnType] - it holds nothing else

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return ""
