"""Flows on spheres."""

from collections.abc import Sequence

from anabranch.contracts.domain import Sphere
from anabranch.distributions import Flow, UniformSphere
from anabranch.models.generators import make_generator
from anabranch.models.manifolds.torus_flow import make_map
from anabranch.models.registry import recipe
from anabranch.transforms import Compose, ExponentialMap, RecursiveSphere, Rotation, Transform


@recipe
def sphere_flow(
    features: int,
    *,
    circle_map: str = "moebius",
    size: int = 12,
    bins: int = 32,
    n_layers: int = 1,
    hidden: Sequence[int] = (64,),
    activation: str = "tanh",
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Turns of the sphere, and maps of its heights and of the angle around the axis.

    .. math:: z = (f_L \circ R_L \circ \dots \circ f_1 \circ R_1)(x), \qquad z \sim U(S^{D-1})

    Points are unit vectors of D numbers, and densities are per surface.

    Source: Rezende et al. (2020), "Normalizing flows on tori and spheres", arXiv:2002.02428.

    Args:
        features: D, at least 2: 3 for places on a globe.
        circle_map: of the angle, "moebius", "spline" or "projection".
        size: components or bins of it.
        bins: of the splines of the heights.
        n_layers: layers, each a learned rotation and a map.
        hidden: hidden sizes of each network.
        activation: of the networks.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights.

    Raises:
        ValueError: for an unknown map, or fewer than two features.

    Example:
        >>> flow = sphere_flow(3, size=4, bins=4, hidden=[8], seed=0)
        >>> bool((flow.sample(4).norm(dim=-1) - 1).abs().max() < 1e-6)
        True
    """
    stack, generator = tuple(batch_shape), make_generator(seed)
    layers: list[Transform] = []
    for _ in range(n_layers):
        layers += [
            Rotation(
                features, learned=True, domain=Sphere(), batch_shape=stack, generator=generator
            ),
            RecursiveSphere(
                features,
                circle_map=make_map(circle_map, size),
                bins=bins,
                hidden=hidden,
                context_features=context_features,
                activation=activation,
                batch_shape=stack,
                generator=generator,
            ),
        ]
    return Flow(UniformSphere(features, batch_shape=stack), Compose(layers))


@recipe
def exponential_map_flow(
    features: int,
    *,
    terms: int = 1,
    n_layers: int = 24,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Walks along the gradients of potentials on the sphere, one after another.

    .. math:: x = (w_1 \circ \dots \circ w_L)(z), \qquad w_l(z) = \exp_z(\nabla \phi_l(z)), \qquad
        z \sim U(S^{D-1})

    Draws take one pass, densities a numeric solution: made for reverse KL.

    Source: Rezende et al. (2020), "Normalizing flows on tori and spheres", arXiv:2002.02428;
    Sei (2013).

    Args:
        features: D, at least 3.
        terms: radial terms of each potential, or 0 for polynomials.
        n_layers: layers.
        batch_shape: the component axis.
        seed: of the initial directions.

    Example:
        >>> flow = exponential_map_flow(3, n_layers=2, seed=0)
        >>> flow.sample(4).shape
        torch.Size([4, 3])
    """
    stack, generator = tuple(batch_shape), make_generator(seed)
    walks = [
        ExponentialMap(features, terms=terms, batch_shape=stack, generator=generator)
        for _ in range(n_layers)
    ]
    return Flow(UniformSphere(features, batch_shape=stack), Compose(walks))
