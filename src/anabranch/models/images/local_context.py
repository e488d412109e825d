"""The model behind the lossless coder."""

from collections.abc import Sequence
from math import prod

from anabranch.distributions import LocalContext
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe


@recipe
def local_context(
    features: int,
    *,
    image_shape: Sequence[int],
    levels: int = 256,
    n_neighbours: int = 84,
    hidden: Sequence[int] = (160, 96),
    n_codes: int = 8,
    reach: int = 32,
    n_mirrored: int = 0,
    context_features: int = 0,
    seed: int | None = None,
) -> LocalContext:
    r"""Levels of a pixel from its neighbours, its place, and the levels that its image has shown.

    .. math:: p(x) = \prod_t \mathrm{softmax}_v\big(a_v + r_{v - \hat x_t} + g\,
        1[v \in x_{<t}]\big)_{x_t}

    Source: local contexts are those of lossless image coders, such as Meyer, Tischer (1997), "TMW";
    one network for all places as in van den Oord, Kalchbrenner, Kavukcuoglu (2016), "Pixel
    recurrent neural networks", arXiv:1601.06759.

    Args:
        features: D, the pixels of an image, channels counted.
        image_shape: (height, width) or (height, width, channels).
        levels: pixels are whole numbers 0..levels-1.
        n_neighbours: neighbours that are looked at, nearest first.
        hidden: sizes of the hidden layers.
        n_codes: learned numbers of each place.
        reach: of what is said relative to the prediction, to either side.
        n_mirrored: neighbours of the mirrored place, for things alike at left and right.
        context_features: numbers that the network is told beside, 0 for none.
        seed: of the initial weights.

    Raises:
        ValueError: for an image_shape that has not ``features`` pixels.

    Example:
        >>> model = local_context(16, image_shape=[4, 4], levels=2, hidden=[8], seed=0)
        >>> model.sample(3).shape
        torch.Size([3, 4, 4])
    """
    if prod(image_shape) != features:
        raise ValueError(f"image_shape {list(image_shape)} has not {features} pixels")
    return LocalContext(
        tuple(image_shape),
        levels=levels,
        n_neighbours=n_neighbours,
        hidden=hidden,
        n_codes=n_codes,
        reach=reach,
        n_mirrored=n_mirrored,
        context_features=context_features,
        generator=make_generator(seed),
    )
