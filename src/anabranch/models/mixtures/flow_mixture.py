"""The variational mixture of normalizing flows."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from anabranch.distributions import Distribution, Flow, Mixture
from anabranch.models.mixtures.mixture_model import MixtureModel
from anabranch.models.registry import build, keywords, recipe
from anabranch.models.seeds import seeded
from anabranch.networks import MLP
from anabranch.transforms import Compose, TriangularAffine

FlowSpec = str | dict[str, Any]


@recipe
def flow_mixture(
    features: int,
    n_components: int,
    *,
    flow: FlowSpec | Sequence[FlowSpec] = "realnvp",
    diagonal: bool = False,
    inference: str = "exact",
    learn_weights: bool = True,
    posterior_hidden: Sequence[int] = (64,),
    seed: int | None = None,
) -> MixtureModel:
    r"""K flows, a posterior network q(c|x), and one exactly enumerated objective.

    .. math:: \log p(x) = \log \sum_k \pi_k\, p(x \mid k) \ge
        \sum_k q(k \mid x) [\log \pi_k + \log p(x \mid k) - \log q(k \mid x)]

    Each component is an affine map (set to a Gaussian before training) followed by a flow that
    starts at the identity, so that the mixture starts as a Gaussian mixture.

    Source: Pires, Figueiredo (2020), "Variational mixture of normalizing flows", arXiv:2009.00585.

    Args:
        features: D.
        n_components: K.
        flow: recipe of the components, by name or as {"name": ..., keyword: value}; or a list of
            K of them. Equal neighbours are stacked and evaluated together.
        diagonal: leave the off-diagonal part of the affine maps out.
        inference: "exact" for the mixture likelihood, "variational" for the bound.
        learn_weights: whether gradients reach the mixture weights.
        posterior_hidden: hidden sizes of q.
        seed: of the initial weights.

    Raises:
        ValueError: for an unknown flow, or a list whose length is not K.
        TypeError: for a keyword that the flow's recipe does not have.

    Example:
        >>> model = flow_mixture(2, 3, flow={"name": "maf", "n_layers": 2}, seed=0)
        >>> model.mixture.n_components
        3
    """
    generator = seeded(seed)
    groups: list[Distribution] = []
    for spec, run in groupby(_specs(flow, n_components)):
        batch_shape = (len(list(run)),)
        if seed is not None and "seed" in keywords(spec["name"]):
            spec = {"seed": seed + 1 + len(groups), **spec}
        core = build(**spec, features=features, batch_shape=batch_shape)
        affine = TriangularAffine(features, diagonal=diagonal, batch_shape=batch_shape)
        groups.append(Flow(core.base, Compose([affine, core.transform])))  # pyright: ignore
    mixture = Mixture(groups, trainable_weights=learn_weights)
    posterior = MLP(features, n_components, posterior_hidden, generator=generator)
    return MixtureModel(mixture, posterior, inference=inference)


def _specs(flow: FlowSpec | Sequence[FlowSpec], n_components: int) -> list[dict[str, Any]]:
    specs = [flow] * n_components if isinstance(flow, str | dict) else list(flow)
    if len(specs) != n_components:
        raise ValueError(f"flow lists {len(specs)} recipes for {n_components} components")
    return [{"name": spec} if isinstance(spec, str) else dict(spec) for spec in specs]
