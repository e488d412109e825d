"""Real NVP for images, at several scales."""

from collections.abc import Sequence
from functools import partial

from anabranch.distributions import Flow
from anabranch.models.generators import make_generator
from anabranch.models.images import scales
from anabranch.models.registry import recipe
from anabranch.networks import ConvNet
from anabranch.networks.conv import image_size
from anabranch.transforms import Affine, Channels, Checkerboard, Compose, Squeeze


@recipe
def realnvp_images(
    features: int,
    *,
    image_shape: Sequence[int],
    n_levels: int | None = None,
    n_couplings: int = 3,
    channels: int = 32,
    n_blocks: int = 1,
    patch: int = 2,
    bound: float = 1.0,
    half_precision: bool = False,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Couplings of checkerboards, of channels where squares have become these; then half leaves.

    .. math:: z_B = x_B\, e^{s(x_A)} + t(x_A), \qquad z_l \sim \mathcal N(\mu(h_l), \sigma(h_l))

    Before each coupling channels are normalised; networks are residual, with weight norm. The last
    scale has one checkerboard more and no squeeze: at one scale that is `conv_realnvp`.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), "Density estimation using Real NVP",
    arXiv:1605.08803; the learned priors: Kingma, Dhariwal (2018), arXiv:1807.03039.

    Args:
        features: D = C H W.
        image_shape: (H, W) or (C, H, W).
        n_levels: scales; by default one more than sides halve, up to 4.
        n_couplings: of each kind, at each scale.
        channels: width of the networks.
        n_blocks: residual blocks of each network.
        patch: networks see squares of such a side as one place, where they tile the image.
        bound: limit of the log-scale of one coupling.
        half_precision: whether networks compute in bfloat16 while training.
        context_features: size of a context, which reaches all networks and the priors.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: where image_shape does not have D pixels, or sides that n_levels cannot halve.

    Example:
        >>> realnvp_images(16, image_shape=[4, 4], channels=8, seed=0).sample(3).shape
        torch.Size([3, 16])
    """
    size, stack = image_size(image_shape, features), tuple(batch_shape)
    drawn = {"batch_shape": stack, "generator": make_generator(seed)}
    drawn["context_features"] = context_features
    network = partial(ConvNet, channels=channels, n_blocks=n_blocks, half_precision=half_precision)
    couplings = partial(scales.alternate, scalar_map=Affine(bound), patch=patch, **drawn)
    couplings = partial(couplings, network=partial(network, weight_norm=True))
    levels, shape = [], size
    for outer in scales.level_shapes(size, None if n_levels is None else n_levels - 1, least=0):
        shape = 4 * outer[0], outer[1] // 2, outer[2] // 2
        boards = [*couplings(Checkerboard, outer, n_couplings), Squeeze(outer)]
        halves = [*couplings(Channels, shape, n_couplings), scales.split_prior(shape, **drawn)]
        levels.append(Compose([*boards, *halves]))
        shape = 2 * outer[0], *shape[1:]
    last = couplings(Checkerboard, shape, n_couplings + 1)
    levels.append(Compose([*last, scales.top_prior(shape, **drawn)]))
    return scales.image_flow(size, levels, stack)
