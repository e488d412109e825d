"""Transformer autoregressive flow."""

from collections.abc import Sequence
from functools import partial

from anabranch.distributions import Flow, Normal
from anabranch.models.alternation import patch_places
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.models.stacks import stack_layers
from anabranch.networks import CausalTransformer, TransformerSizes
from anabranch.transforms import Affine, Autoregressive


@recipe
def tarflow(
    features: int,
    *,
    n_layers: int = 4,
    width: int = 32,
    heads: int = 2,
    blocks: int = 2,
    token_size: int = 1,
    image_shape: Sequence[int] | None = None,
    patch: int = 2,
    bound: float = 2.0,
    norm: str | None = "actnorm",
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""A masked autoregressive flow of tokens, whose networks are transformers.

    .. math:: z_t = x_t \odot e^{s_t(x_{<t})} + m_t(x_{<t})

    Order and reversed order in turn. The density takes one pass, a sample one step a token.

    Source: Zhai et al. (2025), "Normalizing flows are capable generative models",
    arXiv:2412.06329; without its noise and guidance.

    Args:
        features: D.
        n_layers: autoregressive layers.
        width: of a token inside a transformer.
        heads: of its attention.
        blocks: of attention in each layer.
        token_size: features that make one token.
        image_shape: (C, H, W) of images, flattened; tokens are then their patches.
        patch: side of a patch, a divisor of H and W.
        bound: limit of the log-scale of one layer.
        norm: "actnorm" or "batchnorm" after each layer, or None.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Example:
        >>> flow = tarflow(4, n_layers=2, width=8, token_size=2, blocks=1, seed=0)
        >>> flow.sample(3).shape
        torch.Size([3, 4])
    """
    batch_shape, generator = tuple(batch_shape), make_generator(seed)
    places = list(range(features))
    if image_shape is not None:
        places, token_size = patch_places(features, image_shape, patch)
    sizes = TransformerSizes(token_size, width, heads, blocks)
    network = partial(CausalTransformer, sizes=sizes)
    layers = [
        Autoregressive(
            Affine(bound),
            features,
            conditioner=network,
            ordering=places if i % 2 == 0 else [features - 1 - place for place in places],
            context_features=context_features,
            batch_shape=batch_shape,
            generator=generator,
        )
        for i in range(n_layers)
    ]
    return Flow(Normal(features, batch_shape=batch_shape), stack_layers(layers, norm))
