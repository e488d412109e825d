"""Posteriors q(z|x) of variational autoencoders, by name."""

from typing import Any

import torch

from anabranch.distributions import DiagonalNormal, Distribution, Flow, GaussianCopula
from anabranch.models.inner_densities import build_inner_density
from anabranch.models.specs import Spec, split_spec
from anabranch.transforms import Compose, Transform

# What the recipes of flows are told where a spec does not say otherwise: that draws are fast, and
# that parameters are read from the encoder's output by one linear layer, as the papers have it.
FLOWS: dict[str, dict[str, Any]] = {
    "planar": {"inverse": True, "hidden": []},
    "radial": {"inverse": True, "hidden": []},
    "iaf": {"gate": 1.5},
    "nice": {"base": "normal"},
}
NAMES = ("diagonal", "copula", "volume-preserving", *FLOWS)


def latent_posterior(
    spec: Spec, latent: int, context_features: int, generator: torch.Generator | None
) -> Distribution:
    r"""A distribution of codes given the output c of an encoder.

    A flow stands over a normal whose means and log-scales are linear in c, and is told c itself:

    .. math:: z_0 = \mu(c) + \sigma(c) \odot \epsilon, \quad z = f_K(\dots f_1(z_0; c) \dots; c)

    Args:
        spec: "diagonal"; "copula", with {"structure": "rank-one"} the cheap one; "planar",
            "radial", "iaf" or "nice"; "volume-preserving", which is NICE without its scales; or
            any other recipe of a flow that takes a context. Keywords are those of the recipe.
        latent: J.
        context_features: size of c.
        generator: source of the initial weights.

    Raises:
        ValueError: for an unknown recipe, or one that builds no flow.
        TypeError: for a keyword that the posterior does not have.

    Example:
        >>> q = latent_posterior({"name": "planar", "n_layers": 2}, 3, 5, None)
        >>> z, log_q = q.rsample_and_log_prob((), torch.zeros(4, 5))
        >>> z.shape, log_q.shape
        (torch.Size([4, 3]), torch.Size([4]))
    """
    name, settings = split_spec("posterior", spec)
    read_out: dict[str, Any] = {
        "context_features": context_features, "hidden": (), "generator": generator
    }  # fmt: skip
    if name == "copula":
        return GaussianCopula(latent, **settings, **read_out)
    base = DiagonalNormal(latent, **read_out)
    if name == "diagonal":
        if settings:
            raise TypeError(f"posterior 'diagonal' has no keywords, got {sorted(settings)}")
        return base
    preserving = name == "volume-preserving"
    name = "nice" if preserving else name
    flow = build_inner_density(
        {"name": name, **FLOWS.get(name, {}), **settings},
        latent,
        (),
        generator,
        role="posterior",
        context_features=context_features,
    )
    if not isinstance(flow, Flow):
        raise ValueError(f"posterior must be one of {NAMES} or a recipe of a flow, got {spec!r}")
    return Flow(base, _couplings(flow.transform) if preserving else flow.transform)


def _couplings(transform: Transform) -> Transform:
    """NICE without its last layer, the scales."""
    assert isinstance(transform, Compose)
    return Compose(list(transform.transforms)[:-1])
