"""Gated PixelCNN: two stacks of gated convolutions, without a blind spot."""

from collections.abc import Sequence

from anabranch.distributions import PixelModel
from anabranch.distributions.levels import make_level_head
from anabranch.functional import as_shape
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.networks import GatedPixels, PixelSizes
from anabranch.networks.conv import image_size


@recipe
def gated_pixelcnn(
    image_shape: Sequence[int],
    *,
    levels: int = 2,
    head: str | None = None,
    components: int = 10,
    channels: int = 32,
    n_layers: int = 6,
    kernel_size: int = 3,
    first_kernel: int = 7,
    position: bool = False,
    context_features: int | Sequence[int] = 0,
    seed: int | None = None,
) -> PixelModel:
    r"""A stack that goes down the rows above a pixel, and one along its row that looks at it.

    .. math:: v' = \gamma(W^v * v + V^v s), \qquad
        h' = h + U\, \gamma(W^h * h + L v' + V^h s), \qquad
        \gamma(a, b) = \tanh(a / 2) \odot \sigma(b)

    Every pixel sees all pixels before it. s is the context: a class, a code, or an image.

    Source: van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves, Kavukcuoglu (2016),
    "Conditional image generation with PixelCNN decoders", arXiv:1606.05328.

    Args:
        image_shape: (H, W) or (C, H, W).
        levels: the numbers of an image are 0..levels-1; one logit each for 2.
        head: "softmax", or "logistics" for a mixture of discretised logistics; None for softmax.
        components: of that mixture.
        channels: feature maps of each stack; twice as many before the gates.
        n_layers: layers, the first one included.
        kernel_size: of the layers after the first, an odd number.
        first_kernel: of the first layer.
        position: add a bias of its own for each place, for images of centred things.
        context_features: size of the context, such as a class's one-hot code, or its shape where
            it is an image of the same sides; 0 for none.
        seed: of the initial weights.

    Raises:
        ValueError: for a shape, a kernel, a head or a count that cannot be.

    Example:
        >>> model = gated_pixelcnn([4, 4], channels=4, n_layers=2, seed=0)
        >>> model.sample(2).shape
        torch.Size([2, 1, 4, 4])
    """
    distribution, generator = make_level_head(levels, head, components), make_generator(seed)
    shape, given = image_size(image_shape), as_shape(context_features, "context_features")
    sizes = PixelSizes(shape, distribution.n_params, channels, levels, given)
    network = GatedPixels(
        sizes,
        n_layers,
        kernel_size,
        first_kernel=first_kernel,
        position=position,
        generator=generator,
    )
    return PixelModel(network, distribution)
