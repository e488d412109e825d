"""The convolutional conditioner of Flow++: gates and attention."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, elu, layer_norm, scaled_dot_product_attention

from anabranch.functional.layout import channels_last
from anabranch.functional.shapes import Shape
from anabranch.networks.conv import Conv2d, image_size
from anabranch.networks.convnet import check_patch, from_patches, to_patches
from anabranch.networks.image_conditioner import Convolutions, ImageConditioner


class GatedAttentionNet(ImageConditioner):
    r"""Blocks of a gated convolution and of gated attention between all places.

    .. math::
        h' = \mathrm{norm}\bigl(h + a\, \sigma(b)\bigr), \quad
        (a, b) = V * \mathrm{cELU}(\mathrm{drop}(U * \mathrm{cELU}(h))), \qquad
        h'' = \mathrm{norm}\bigl(h' + c\, \sigma(d)\bigr), \quad
        (c, d) = O * \mathrm{attention}(Q * h', K * h', V' * h')

    with the concatenated ELU, :math:`\mathrm{cELU}(h) = \mathrm{ELU}((h, -h))`, and layer norms
    over the channels of each place. Squares of ``patch`` x ``patch`` pixels become channels, since
    the cost of attention grows with the square of the places. The format while training, and the
    component axis, are as of `ImageConditioner`.

    Source: Ho et al. (2019), "Flow++", arXiv:1902.00275, appendix; gates: Salimans et al. (2017),
    arXiv:1701.05517; layer norms without parameters of their own.

    Args:
        in_shape: of the input, (C, H, W).
        out_shape: of the output, (C', H, W).
        channels: width of the hidden layers, which heads divides.
        n_blocks: blocks.
        heads: of the attention; 0 for none.
        dropout: share of hidden numbers that are dropped in training. These draws are torch's.
        patch: side of the squares; it divides H and W.
        half_precision: whether it computes in bfloat16 while training.
        context_shape: size of a vector context; 0 for none.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Shapes:
        x: (*batch_shape, N, C, H, W) or without batch_shape, giving (*batch_shape, N, C', H, W).

    Raises:
        ValueError: for images of unlike sides, heads that do not divide channels, or a patch that
            does not divide the sides.

    Example:
        >>> net = GatedAttentionNet((2, 4, 4), (6, 4, 4), channels=8)
        >>> net(torch.zeros(5, 2, 4, 4)).shape
        torch.Size([5, 6, 4, 4])
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_shape: Sequence[int],
        *,
        channels: int = 32,
        n_blocks: int = 1,
        heads: int = 4,
        dropout: float = 0.0,
        patch: int = 1,
        half_precision: bool = False,
        context_shape: int | Shape = (),
        batch_shape: Shape = (),
        generator: torch.Generator | None = None,
    ) -> None:
        if heads and channels % heads:
            raise ValueError(f"heads must divide channels, got {heads} and {channels}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout}")
        super().__init__(
            in_shape,
            out_shape,
            channels,
            context_shape=context_shape,
            half_precision=half_precision,
            batch_shape=batch_shape,
            generator=generator,
        )
        depth, *places = image_size(in_shape)
        self.patch, self.heads, self.dropout = check_patch(in_shape, patch), heads, dropout
        conv = partial(Conv2d, batch_shape=self.batch_shape, generator=generator)
        layers = [conv(depth * patch**2, channels)]
        for _ in range(n_blocks):
            layers += [conv(2 * channels, channels), conv(2 * channels, 2 * channels, 1)]
            if heads:
                layers += [conv(channels, 3 * channels, 1), conv(channels, 2 * channels, 1)]
        layers.append(conv(2 * channels, out_shape[0] * patch**2, zero=True))
        self.convolutions = nn.ModuleList(layers)
        sides = [side // patch for side in places]
        self.position = nn.Parameter(torch.zeros(*self.batch_shape, channels, *sides))

    def _through(
        self, convolutions: Convolutions, x: Tensor, places: Tensor, shift: Tensor
    ) -> Tensor:
        first, *blocks, last = convolutions
        dtype = self._dtype(x)
        maps = first(channels_last(to_patches(x, self.patch), dtype))
        maps = maps + (places + shift if shift.numel() else places).to(dtype)
        size = 4 if self.heads else 2
        for start in range(0, len(blocks), size):
            inner, gated, *attention = blocks[start : start + size]
            step = dropout(inner(concat_elu(maps)), self.dropout, self.training)
            maps = _normalised(maps + _gate(gated(concat_elu(step))))
            if attention:
                seen = self._attended(attention[0](maps))
                maps = _normalised(maps + _gate(attention[1](seen)))
        answers = last(concat_elu(maps)).to(x.dtype, memory_format=torch.contiguous_format)
        return from_patches(answers, self.patch)

    def _attended(self, maps: Tensor) -> Tensor:
        """Every place's weighted mean of all places' values, head by head."""
        sides = maps.shape[-2:]
        query, key, value = maps.flatten(-2).unflatten(1, (3, self.heads, -1)).mT.unbind(1)
        seen = scaled_dot_product_attention(query, key, value)
        return seen.mT.flatten(1, 2).unflatten(-1, sides)


def concat_elu(x: Tensor) -> Tensor:
    """The ELU of images and of their negatives, with twice as many channels.

    Example:
        >>> concat_elu(torch.ones(1, 1, 1, 1)).flatten()
        tensor([ 1.0000, -0.6321])
    """
    return elu(torch.cat((x, -x), 1))


def _gate(x: Tensor) -> Tensor:
    value, gate = x.chunk(2, 1)
    return value * gate.sigmoid()


def _normalised(x: Tensor) -> Tensor:
    places_first = x.movedim(1, -1)
    return layer_norm(places_first, places_first.shape[-1:]).movedim(-1, 1)
