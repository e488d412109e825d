"""Conditional invertible networks for vectors."""

from collections.abc import Sequence
from typing import Any

from anabranch.distributions import Flow, Normal
from anabranch.models.conditional.blocks import two_sided_blocks
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.networks import MLP
from anabranch.transforms import Compose, EmbeddedTransform


@recipe
def cinn(
    features: int,
    *,
    n_blocks: int = 6,
    hidden: Sequence[int] = (128,),
    activation: str = "relu",
    bound: float = 2.0,
    embedding: Sequence[int] = (),
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Blocks that move both halves, each told by the other and by the condition.

    .. math:: z_B = x_B\, e^{s(x_A, c)} + t(x_A, c), \qquad
        z_A = x_A\, e^{s'(z_B, c)} + t'(z_B, c)

    between random permutations, with log-scales bounded by an arctangent. The condition may pass a
    network that is trained with the rest. Without one it is such a network as a plain flow.

    Source: Ardizzone et al. (2019), "Guided image generation with conditional invertible neural
    networks", arXiv:1907.02392.

    Args:
        features: D.
        n_blocks: blocks of two couplings.
        hidden: hidden sizes of each coupling's network.
        activation: of the networks.
        bound: limit of the log-scale of one coupling.
        embedding: sizes of the layers that the condition passes first, the last of which is what
            couplings see; none by default.
        context_features: size of the condition.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: for an embedding of no condition.

    Example:
        >>> flow = cinn(4, n_blocks=2, hidden=[8], context_features=2, embedding=[8, 3], seed=0)
        >>> import torch
        >>> flow.sample(3, context=torch.zeros(2)).shape
        torch.Size([3, 4])
    """
    stack, source = tuple(batch_shape), make_generator(seed)
    drawn: dict[str, Any] = {"batch_shape": stack, "generator": source}
    seen = embedding[-1] if embedding else context_features
    network = {"hidden": hidden, "activation": activation, "context_features": seen}
    base = Normal(features, batch_shape=stack)
    blocks = Compose(two_sided_blocks(features, n_blocks, bound, **network, **drawn))
    if not embedding:
        return Flow(base, blocks)
    if not context_features:
        raise ValueError(f"embedding={list(embedding)} needs a condition: context_features is 0")
    *inner, last = embedding
    encoder = MLP(context_features, last, inner, **drawn)
    return Flow(base, EmbeddedTransform(blocks, encoder, context_features))
