"""PixelCNN: masked convolutions."""

from collections.abc import Sequence

from anabranch.distributions import PixelModel
from anabranch.distributions.levels import make_level_head
from anabranch.functional import as_shape
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.networks import PixelSizes, PixelStack, ResidualPixels
from anabranch.networks.conv import image_size


@recipe
def pixelcnn(
    image_shape: Sequence[int],
    *,
    levels: int = 2,
    head: str | None = None,
    components: int = 10,
    channels: int = 64,
    n_blocks: int = 6,
    kernel_size: int = 3,
    first_kernel: int = 7,
    position: bool = False,
    context_features: int | Sequence[int] = 0,
    seed: int | None = None,
) -> PixelModel:
    r"""A convolution that sees no pixel to come, and residual blocks of such ones.

    .. math:: p(x) = \prod_i h(x_i; \theta_i(x_{<i})), \qquad
        \theta = U\, \mathrm{relu}(V\, \mathrm{relu}(\mathrm{block}_L(\dots(W_A * x))))

    What lies far to the right above a pixel stays unseen (the blind spot). With kernels of 1 in
    the blocks, each pixel is told from the neighbours in the first kernel alone, which is fast.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), "Pixel recurrent neural networks",
    arXiv:1601.06759.

    Args:
        image_shape: (H, W) or (C, H, W).
        levels: the numbers of an image are 0..levels-1; one logit each for 2.
        head: "softmax", or "logistics" for a mixture of discretised logistics; None for softmax.
        components: of that mixture.
        channels: feature maps; half as many inside a block.
        n_blocks: residual blocks.
        kernel_size: of the blocks, an odd number.
        first_kernel: of the first convolution.
        position: add a bias of its own for each place, for images of centred things.
        context_features: size of the context, such as a class's one-hot code, or its shape where
            it is an image of the same sides; 0 for none.
        seed: of the initial weights.

    Raises:
        ValueError: for a shape, a kernel, a head or a count that cannot be.

    Example:
        >>> model = pixelcnn([4, 4], channels=4, n_blocks=1, seed=0)
        >>> model.sample(2).shape
        torch.Size([2, 1, 4, 4])
    """
    distribution, generator = make_level_head(levels, head, components), make_generator(seed)
    shape, given = image_size(image_shape), as_shape(context_features, "context_features")
    sizes = PixelSizes(shape, distribution.n_params, channels, levels, given)
    blocks = [ResidualPixels(sizes, kernel_size, generator=generator) for _ in range(n_blocks)]
    network = PixelStack(sizes, blocks, first_kernel, position=position, generator=generator)
    return PixelModel(network, distribution)
