"""Real NVP for images, by checkerboards."""

from collections.abc import Sequence
from functools import partial

from anabranch.distributions import Flow, Normal
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.models.stacks import stack_layers
from anabranch.networks import ConvNet
from anabranch.networks.conv import image_size
from anabranch.networks.convnet import check_patch, largest_patch
from anabranch.transforms import Affine, Checkerboard, Coupling


@recipe
def conv_realnvp(
    features: int,
    *,
    image_shape: Sequence[int],
    n_layers: int = 6,
    channels: int = 32,
    n_blocks: int = 1,
    patch: int | None = None,
    activation: str = "relu",
    bound: float = 1.0,
    norm: str | None = None,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Affine couplings that move the black and the white fields of a checkerboard in turn.

    .. math:: z_B = x_B\, e^{s(x_A)} + t(x_A), \qquad \log p(x) = \log \mathcal N(z) + \sum s

    Networks of convolutions see the pixels that stay in their places. A row holds the pixels of an
    image, channel after channel, row after row.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), "Density estimation using Real NVP",
    arXiv:1605.08803, at one scale.

    Args:
        features: D = C H W.
        image_shape: (H, W) or (C, H, W).
        n_layers: couplings.
        channels: width of each network.
        n_blocks: residual blocks of each network.
        patch: the networks see squares of patch x patch pixels as one place with as many more
            channels; it divides H and W. By default 4, 2 or 1, the first that does.
        activation: of the networks.
        bound: limit of the log-scale of one layer.
        norm: "actnorm" or "batchnorm" after each coupling, or None.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: where image_shape does not have D pixels, has only one, or has sides that patch
            does not divide.

    Example:
        >>> flow = conv_realnvp(16, image_shape=[4, 4], n_layers=2, channels=8, seed=0)
        >>> flow.sample(3).shape
        torch.Size([3, 16])
    """
    size = image_size(image_shape, features)
    patch = largest_patch(size) if patch is None else patch
    network = {"channels": channels, "n_blocks": n_blocks, "activation": activation}
    layer = partial(
        Coupling,
        Affine(bound),
        features,
        conditioner=partial(ConvNet, patch=check_patch(size, patch), **network),
        context_features=context_features,
        batch_shape=tuple(batch_shape),
        generator=make_generator(seed),
    )
    layers = [layer(split=Checkerboard(size, i)) for i in range(n_layers)]
    return Flow(Normal(features, batch_shape=tuple(batch_shape)), stack_layers(layers, norm))
