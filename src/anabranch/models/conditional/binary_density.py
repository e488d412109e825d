"""Bits given what else is known, by a flow of numbers whose signs they are."""

from collections.abc import Sequence
from typing import Any

from anabranch.distributions import Flow
from anabranch.models.generators import make_generator
from anabranch.models.inner_densities import build_inner_density
from anabranch.models.registry import recipe
from anabranch.models.specs import Spec
from anabranch.transforms import (
    BinaryDequantization,
    Compose,
    Logit,
    Transform,
    UniformDequantization,
)

KINDS = ("half-infinite", "uniform")


@recipe
def binary_density(
    features: int,
    *,
    flow: Spec = "nsf",
    noise: Spec = "nsf",
    dequantization: str = "half-infinite",
    alpha: float = 0.05,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""A lower bound of the log-probability of bits, given a context.

    .. math:: \log P(x \mid c) \ge \mathbb E_{q(z \mid x, c)} [\log p(z \mid c)
        - \log q(z \mid x, c)], \qquad z_d > 0 \iff x_d = 1

    Source: Winkler, Worrall, Hoogeboom, Welling (2019), "Learning likelihoods with conditional
    normalizing flows", arXiv:1912.00042.

    Args:
        features: D.
        flow: recipe of p, a flow.
        noise: recipe of q, a density of D numbers that is given the bits and the context.
        dequantization: "half-infinite", or "uniform" for noise on the unit interval behind a
            logit, which knows neither, to compare with.
        alpha: margin of that logit.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: for another dequantization, or a recipe that builds no flow.

    Example:
        >>> small = {"name": "nsf", "n_layers": 1, "hidden": [8]}
        >>> model = binary_density(3, flow=small, noise=small, seed=0)
        >>> bool((model.sample(5) % 1 == 0).all()), model.exact
        (True, False)
    """
    if dequantization not in KINDS:
        raise ValueError(f"dequantization must be one of {list(KINDS)}, got {dequantization!r}")
    stack, source = tuple(batch_shape), make_generator(seed)
    given: dict[str, Any] = {"role": "flow", "context_features": context_features}
    inner = build_inner_density(flow, features, stack, source, **given)
    if not isinstance(inner, Flow):
        raise ValueError(f"flow must be the recipe of a flow, got {flow!r}")
    if dequantization == "uniform":
        spread: list[Transform] = [UniformDequantization(features, levels=2)]
        spread.append(Logit(features, alpha=alpha))
    else:
        told = {"role": "noise", "context_features": features + context_features}
        drawn = build_inner_density(noise, features, stack, source, **told)
        spread = [BinaryDequantization(features, drawn, context_shape=context_features)]
    return Flow(inner.base, Compose([*spread, inner.transform]))
