"""The model behind the lossless coder of clustered images."""

from collections.abc import Sequence

from anabranch.distributions import ComponentEmbeddings, Mixture
from anabranch.models.generators import make_generator
from anabranch.models.images.local_context import local_context
from anabranch.models.registry import recipe


@recipe
def local_context_mixture(
    features: int,
    *,
    n_components: int,
    image_shape: Sequence[int],
    levels: int = 256,
    n_neighbours: int = 84,
    hidden: Sequence[int] = (160, 96),
    reach: int = 32,
    n_mirrored: int = 0,
    n_embedding: int = 16,
    seed: int | None = None,
) -> Mixture:
    r"""K components that share one network of pixels, and differ in what it is told of them.

    .. math:: p(x) = \sum_k \pi_k \prod_t p(x_t \mid x_{<t}, e_k)

    Args:
        features: D, the pixels of an image, channels counted.
        n_components: K.
        image_shape: (height, width) or (height, width, channels).
        levels: pixels are whole numbers 0..levels-1.
        n_neighbours: neighbours that are looked at, nearest first.
        hidden: sizes of the hidden layers.
        reach: of what is said relative to the prediction, to either side.
        n_mirrored: neighbours of the mirrored place, for things alike at left and right.
        n_embedding: learned numbers :math:`e_k` of a component.
        seed: of the initial weights.

    Raises:
        ValueError: for an image_shape that has not ``features`` pixels.

    Example:
        >>> import torch
        >>> model = local_context_mixture(
        ...     16, n_components=3, image_shape=[4, 4], levels=2, hidden=[8], seed=0
        ... )
        >>> model.component_log_prob(torch.zeros(5, 4, 4)).shape
        torch.Size([3, 5])
    """
    density = local_context(
        features,
        image_shape=image_shape,
        levels=levels,
        n_neighbours=n_neighbours,
        hidden=hidden,
        reach=reach,
        n_mirrored=n_mirrored,
        context_features=n_embedding,
        seed=seed,
    )
    generator = make_generator(None if seed is None else seed + 1)
    components = ComponentEmbeddings(density, n_components, generator=generator)
    return Mixture(components)
