"""Invertible networks for inverse problems."""

from collections.abc import Sequence
from typing import Any

from anabranch.distributions import ContextNormal, Flow
from anabranch.models.conditional.blocks import two_sided_blocks
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.transforms import Compose, Pad, Transform


@recipe
def inn(
    features: int,
    *,
    context_features: int,
    latent: int | None = None,
    size: int | None = None,
    n_blocks: int = 6,
    hidden: Sequence[int] = (128,),
    activation: str = "relu",
    bound: float = 2.0,
    std: float = 0.05,
    padding_std: float = 0.05,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""One network that leads from x to what is observed and a free latent, and back.

    .. math:: (y, z) = f(x), \qquad x \mid y = f^{-1}(y + \sigma e, z), \quad z \sim \mathcal N

    The observation is no input of a network: it is a part of the latent. With
    `anabranch.objectives.Bidirectional` it is trained as published; by its likelihood
    :math:`\log \mathcal N(f_y(x); y, \sigma^2) + \log \mathcal N(f_z(x)) + \log|\det f'|` it is a
    density like any other. Where x is smaller than y and z together, both ends are padded, and the
    density is a lower bound.

    Source: Ardizzone et al. (2018), "Analyzing inverse problems with invertible neural networks",
    arXiv:1808.04730.

    Args:
        features: D, size of x.
        context_features: C, size of y.
        latent: size of z; by default D - C, and at least 1.
        size: of both ends, padded; by default as large as either needs.
        n_blocks: blocks of two couplings.
        hidden: hidden sizes of each coupling's network.
        activation: of the networks.
        bound: limit of the log-scale of one coupling.
        std: :math:`\sigma`, of the observation.
        padding_std: of what pads either end.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: for a size that does not hold both ends.

    Example:
        >>> import torch
        >>> flow = inn(4, context_features=2, n_blocks=2, hidden=[8], seed=0)
        >>> flow.sample(3, context=torch.zeros(2)).shape
        torch.Size([3, 4])
    """
    stack = tuple(batch_shape)
    free = max(features - context_features, 1) if latent is None else latent
    least = max(features, context_features + free)
    whole = least if size is None else size
    if whole < least:
        raise ValueError(f"size must be at least {least} to hold x, and y with z, got {size}")
    network: dict[str, Any] = {"hidden": hidden, "activation": activation, "batch_shape": stack}
    blocks = two_sided_blocks(whole, n_blocks, bound, generator=make_generator(seed), **network)
    beside = whole - features
    pad: list[Transform] = [Pad(features, beside, std=padding_std)] if beside else []
    base = ContextNormal(
        whole,
        context_features=context_features,
        free=free,
        std=std,
        padding_std=padding_std,
        batch_shape=stack,
    )
    return Flow(base, Compose([*pad, *blocks]))
