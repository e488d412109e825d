"""Images given another one, each pixel on its own: what a regression can say."""

from collections.abc import Sequence
from math import prod

from torch import nn

from anabranch.distributions import DiscretizedLogistics, Independent
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.networks import ContextPyramid, ConvNet
from anabranch.networks.conv import image_size


@recipe
def independent_pixels(
    features: int,
    *,
    image_shape: Sequence[int],
    condition_shape: Sequence[int],
    levels: int = 256,
    components: int = 1,
    channels: int = 32,
    n_blocks: int = 2,
    context_features: int | None = None,
    seed: int | None = None,
) -> Independent:
    r"""Discretised logistics of pixels, told by a convolutional network of another image.

    .. math:: P(y \mid x) = \prod_i \sum_k \pi_{ik}(x)\, \mathrm{DLogistic}\bigl(y_i;\,
        \mu_{ik}(x), s_{ik}(x)\bigr)

    The likelihood baseline of conditional image models: it knows of no pixel what the others are.

    Source: Winkler, Worrall, Hoogeboom, Welling (2019), arXiv:1912.00042, section 5; the head:
    Salimans, Karpathy, Chen, Kingma (2017), "PixelCNN++", arXiv:1701.05517.

    Args:
        features: D = C H W.
        image_shape: (H, W) or (C, H, W) of y.
        condition_shape: (H', W') or (C', H', W') of x, which comes as a row.
        levels: pixels are integers 0..levels-1.
        components: K of each pixel's mixture.
        channels: width of the network.
        n_blocks: residual blocks.
        context_features: size of x, which condition_shape says; whoever gives it agrees.
        seed: of the initial weights.

    Raises:
        ValueError: for shapes that do not fit.

    Example:
        >>> import torch
        >>> model = independent_pixels(16, image_shape=[4, 4], condition_shape=[2, 2], levels=8)
        >>> model.log_prob(torch.zeros(3, 16), torch.zeros(3, 4)).shape
        torch.Size([3])
    """
    size, given = image_size(image_shape, features), image_size(condition_shape, context_features)
    head, source = DiscretizedLogistics(levels, components), make_generator(seed)
    pyramid = ContextPyramid(given, [size[1:]], channels=channels, generator=source)
    (shape,) = pyramid.shapes
    answers = (head.n_params * size[0], *size[1:])
    net = ConvNet(shape, answers, channels=channels, n_blocks=n_blocks, generator=source)
    network = nn.Sequential(
        pyramid, nn.Unflatten(-1, shape), net, nn.Flatten(1), nn.Unflatten(1, (head.n_params, -1))
    )
    return Independent(head, network, features, prod(given))
