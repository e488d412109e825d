"""The variational mixture of normalizing flows: K flows and a posterior network."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from anabranch.distributions import (
    Categories,
    ContaminatedMixture,
    Distribution,
    Flow,
    Hedged,
    Mixture,
    Normal,
    StudentT,
    WithCategories,
)
from anabranch.functional.shapes import Shape
from anabranch.models.densities.product_density import product_density
from anabranch.models.generators import make_generator
from anabranch.models.inner_densities import build_inner_density
from anabranch.models.mixtures.posterior import make_posterior
from anabranch.models.registry import recipe
from anabranch.networks import AngleInput, CodedInput
from anabranch.transforms import Compose, Transform, TriangularAffine

FlowSpec = str | dict[str, Any] | None
# Of the broad density: heavy enough that no row is out of reach, and wide beside unit deviations.
BROAD_DF, BROAD_SCALE = 2, 3.0


class MixtureModel(nn.Module):
    r"""A mixture p(x) and a network q(c|x), softened by a temperature.

    .. math:: \log q(c \mid x) = \log \mathrm{softmax}_c(g(x) / \tau)

    What trains them is an `anabranch.objectives.MixtureObjective`.

    Args:
        mixture: the mixture.
        posterior: g, a network from (N, F) to (N, K) logits.

    Attributes:
        temperature: of q; part of the state, for q at another temperature is another q.

    Example:
        >>> from anabranch.distributions import Mixture, Normal
        >>> from anabranch.networks import MLP
        >>> model = MixtureModel(Mixture([Normal(2, batch_shape=(3,))]), MLP(2, 3))
        >>> model.log_q(torch.zeros(5, 2)).shape
        torch.Size([3, 5])
    """

    temperature: Tensor

    def __init__(self, mixture: Mixture, posterior: nn.Module) -> None:
        super().__init__()
        self.mixture = mixture
        self.posterior = posterior
        self.register_buffer("temperature", torch.ones(()))

    def log_q(self, x: Tensor) -> Tensor:
        """Log q(c|x) of what the network sees, (N, F), at the present temperature: (K, N)."""
        return torch.log_softmax(self.posterior(x).mT / self.temperature, dim=0)


@recipe
def flow_mixture(
    features: int,
    n_components: int,
    *,
    flow: FlowSpec | Sequence[FlowSpec] = "realnvp",
    trunk: FlowSpec = None,
    diagonal: bool = False,
    learn_weights: bool = True,
    posterior: str | dict[str, Any] = "mlp",
    hedge: bool = False,
    categories: Sequence[int] = (),
    contamination: float = 0.0,
    blocks: Sequence[tuple[str, int]] = (),
    seed: int | None = None,
) -> MixtureModel:
    r"""K flows and a posterior network q(c|x), whose bound is enumerated exactly.

    .. math:: \log p(x) = \log \sum_k \pi_k\, p(x \mid k) \ge
        \sum_k q(k \mid x) [\log \pi_k + \log p(x \mid k) - \log q(k \mid x)]

    Each component is an affine map (set to a Gaussian before training) followed by a flow that
    starts at the identity, so that the mixture starts as a Gaussian mixture. A trunk is a flow
    before them all, shared: x -> trunk -> component k -> z. It is evaluated once, and a trunk
    before components without flows of their own is one flow over a latent Gaussian mixture.

    Hedged, each component is a mixture of that and of a Gaussian of its own, which stays as it is
    set: :math:`a_k f_k(x) + (1 - a_k)\, g_k(x)`, see `anabranch.distributions.Hedged`.

    With categories, rows hold their codes behind the D features, and each component is a density
    times their probabilities, see `anabranch.distributions.WithCategories`; so are the Gaussians.

    Contaminated, there is a broad density beside the components, hedged or not, for rows that
    belong to none, see `anabranch.distributions.ContaminatedMixture`.

    With blocks, the D features are numbers of several spaces, angles first, and each component is
    a `product_density`: it starts around directions and places, and no circle is cut open.

    Source: Pires, Figueiredo (2020), "Variational mixture of normalizing flows", arXiv:2009.00585;
    the latent mixture: Izmailov et al. (2020), "Semi-supervised learning with normalizing flows",
    arXiv:1912.13025.

    Args:
        features: D.
        n_components: K.
        flow: recipe of the components, a flow or another density ("rnade"), by name or as {"name":
            ..., keyword: value}; None for Gaussians; or a list of K of them. Equal neighbours are
            stacked and evaluated together.
        trunk: recipe of a flow that all components share; None for none.
        diagonal: leave the off-diagonal part of the affine maps out.
        learn_weights: whether gradients reach the mixture weights.
        posterior: network of q, see `anabranch.models.mixtures.posterior.make_posterior`.
        hedge: whether flows are hedged with Gaussians; where there are no flows nothing is.
        categories: how many categories each further column has; none by default.
        contamination: share of the broad density at first; 0 for none.
        blocks: kind and size of each space, as of `product_flow`; by default all are reals.
        seed: of the initial weights.

    Raises:
        ValueError: for an unknown flow, a list whose length is not K, or a trunk before blocks.
        TypeError: for a keyword that the flow's recipe does not have.

    Example:
        >>> model = flow_mixture(2, 3, flow={"name": "maf", "n_layers": 2}, seed=0)
        >>> model.mixture.n_components
        3
    """
    generator = make_generator(seed)
    space = _Space(features, diagonal, blocks)
    if blocks and trunk is not None:
        raise ValueError(f"trunk is for reals alone, got {trunk!r} before blocks {list(blocks)}")
    shared = [] if trunk is None else [_trunk(_spec(trunk), features, seed)]
    specs = _specs(flow, n_components)
    hedge = hedge and (trunk is not None or any(spec is not None for spec in specs))
    groups: list[Distribution] = []
    for spec, run in groupby(specs):
        batch_shape = (len(list(run)),)
        own_seed = None if seed is None else seed + 1 + len(groups)
        component = _with_categories(_flows(spec, shared, space, batch_shape, own_seed), categories)
        if hedge:
            anchor = _with_categories(_simple(space, batch_shape), categories)
            component = Hedged(component, anchor, trainable_share=True)
        groups.append(component)
    mixture = Mixture(groups, trainable_weights=learn_weights)
    if contamination:
        broad = _with_categories(StudentT(features, df=BROAD_DF, scale=BROAD_SCALE), categories)
        mixture = ContaminatedMixture(groups, broad, contamination, trainable_weights=learn_weights)
    angles = sum(size for kind, size in blocks if kind == "circle")
    inputs: list[nn.Module] = [AngleInput(angles, features + len(categories))] if angles else []
    width = features + angles
    if categories:
        coded = CodedInput(width, categories)
        inputs, width = [*inputs, coded], coded.out_features
    network = make_posterior(posterior, width, n_components, generator=generator)
    return MixtureModel(mixture, nn.Sequential(*inputs, network) if inputs else network)


class _Space(NamedTuple):
    """Where components live: D reals, or blocks of them and of angles and places."""

    features: int
    diagonal: bool
    blocks: Sequence[tuple[str, int]]


def _flows(
    spec: dict[str, Any] | None,
    shared: list[Transform],
    space: _Space,
    batch_shape: Shape,
    seed: int | None,
) -> Distribution:
    """Components of one recipe, behind a trunk; of None Gaussians, or what blocks have for them."""
    features, diagonal, blocks = space
    common: dict[str, Any] = {"diagonal": diagonal, "batch_shape": batch_shape}
    if blocks:
        _check_order(blocks)
        return product_density(features, blocks=blocks, flow=spec, seed=seed, **common)
    own = [*shared, TriangularAffine(features, **common)]
    core: Distribution = Normal(features, batch_shape=batch_shape)
    if spec is not None:
        core = build_inner_density(spec, features, batch_shape, seed, role="component")
    if isinstance(core, Flow):
        core, own = core.base, [*own, core.transform]
    return Flow(core, Compose(own))


def _simple(space: _Space, batch_shape: Shape) -> Distribution:
    """What hedges components: Gaussians, or what blocks have for them."""
    features, diagonal, blocks = space
    common: dict[str, Any] = {"diagonal": diagonal, "batch_shape": batch_shape}
    if blocks:
        return product_density(features, blocks=blocks, flow=None, **common)
    return Flow(Normal(features, batch_shape=batch_shape), TriangularAffine(features, **common))


def _check_order(blocks: Sequence[tuple[str, int]]) -> None:
    kinds = [kind for kind, _ in blocks]
    if "circle" in kinds and kinds[kinds.count("circle") - 1] != "circle":
        raise ValueError(f"blocks must begin with the circles, got {list(blocks)}")


def _with_categories(density: Distribution, categories: Sequence[int]) -> Distribution:
    if not categories:
        return density
    return WithCategories(density, Categories(categories, batch_shape=density.batch_shape))


def _trunk(spec: dict[str, Any], features: int, seed: int | None) -> Transform:
    built = build_inner_density(spec, features, (), seed, role="trunk")
    if not isinstance(built, Flow):
        raise ValueError(f"recipe {spec['name']!r} builds no flow: it cannot be a trunk")
    return built.transform


def _specs(flow: FlowSpec | Sequence[FlowSpec], n_components: int) -> list[dict[str, Any] | None]:
    single = flow is None or isinstance(flow, str | dict)
    specs: list[FlowSpec] = [flow] * n_components if single else list(flow)  # pyright: ignore
    if len(specs) != n_components:
        raise ValueError(f"flow lists {len(specs)} recipes for {n_components} components")
    return [None if spec is None else _spec(spec) for spec in specs]


def _spec(spec: str | dict[str, Any]) -> dict[str, Any]:
    return {"name": spec} if isinstance(spec, str) else dict(spec)
