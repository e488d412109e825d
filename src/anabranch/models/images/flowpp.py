"""Flow++: couplings by mixtures of logistics, told by networks with gates and attention."""

from collections.abc import Sequence
from functools import partial

from anabranch.distributions import Flow
from anabranch.models.generators import make_generator
from anabranch.models.images import scales
from anabranch.models.registry import recipe
from anabranch.networks import GatedAttentionNet
from anabranch.networks.conv import image_size
from anabranch.transforms import Channels, Checkerboard, Compose, Squeeze


@recipe
def flowpp(
    features: int,
    *,
    image_shape: Sequence[int],
    n_couplings: Sequence[int] = (4, 2, 3),
    coupling: str = "mixture",
    components: int = 8,
    channels: int = 32,
    n_blocks: int = 1,
    heads: int = 4,
    dropout: float = 0.2,
    patch: int = 2,
    bound: float = 1.0,
    half_precision: bool = False,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Boards, channels and boards again, each number moved by a mixture's logit, at one scale.

    .. math:: z_B = e^{a} \operatorname{logit} F(x_B;\, w, \mu, s) + b, \qquad
        (a, b, w, \mu, s) = g(x_A)

    Before each coupling channels are normalised. With `anabranch.models.image_density` around it,
    ``dequantization="variational"``, it is the whole of Flow++.

    Source: Ho et al. (2019), "Flow++", arXiv:1902.00275.

    Args:
        features: D = C H W.
        image_shape: (H, W) or (C, H, W).
        n_couplings: of boards, of channels behind a squeeze, and of boards there.
        coupling: "mixture", or "affine" or "additive", to compare with.
        components: of each mixture.
        channels: width of the networks, which heads divides.
        n_blocks: blocks of each network.
        heads: of the attention; 0 for none.
        dropout: share of the networks' hidden numbers that are dropped in training.
        patch: networks see squares of such a side as one place, where they tile the image.
        bound: limit of the log-scale of one coupling.
        half_precision: whether networks compute in bfloat16 while training.
        context_features: size of a context, which reaches all networks and the prior.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: where image_shape does not have D pixels, or odd sides.

    Example:
        >>> flowpp(16, image_shape=[4, 4], components=2, channels=8, seed=0).sample(3).shape
        torch.Size([3, 16])
    """
    size, stack = image_size(image_shape, features), tuple(batch_shape)
    drawn = {"batch_shape": stack, "generator": make_generator(seed)}
    drawn["context_features"] = context_features
    net = partial(GatedAttentionNet, channels=channels, n_blocks=n_blocks, heads=heads)
    net = partial(net, dropout=dropout, half_precision=half_precision)
    moves = scales.coupling_map(coupling, bound, components)
    couplings = partial(scales.alternate, scalar_map=moves, network=net, patch=patch, **drawn)
    (outer,), (boards, halves, last) = scales.level_shapes(size, 1), n_couplings
    shape = 4 * outer[0], outer[1] // 2, outer[2] // 2
    parts = [*couplings(Checkerboard, outer, boards), Squeeze(outer)]
    parts += [*couplings(Channels, shape, halves), *couplings(Checkerboard, shape, last)]
    level = Compose([*parts, scales.top_prior(shape, **drawn)])
    return scales.image_flow(size, [level], stack)
