"""The deep density model: a square sigmoidal decoder of beta variables."""

from collections.abc import Sequence
from typing import Any

from anabranch.distributions import Flow, LogisticBeta
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.transforms import (
    Additive,
    Compose,
    DenseLinear,
    Elementwise,
    Inverse,
    LeakyTanh,
    Standardize,
    Transform,
)


@recipe
def deep_density(
    features: int,
    *,
    n_layers: int = 2,
    alpha: float = 1.1,
    beta: float = 1.1,
    knee: float = 2.0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Layers of free square matrices and sigmoids decode independent beta variables.

    .. math:: z_d \sim \mathrm{Beta}(\alpha, \beta), \qquad
        h_0 = \operatorname{logit} z, \quad h_l = s(W_l h_{l-1} + b_l), \quad
        x = \tfrac12 (1 + h_L)

    For x of shares in [0, 1], such as pixels. s is a hyperbolic tangent, the sigmoid of ±1, which
    goes on as a line where it is nearly flat: so that every x has a latent, and a density, which is
    exact by inversion. (With sigmoids that end at 0 and 1 only what the decoder can reach has one.)
    Trained by `anabranch.objectives.DeepDensityLoss`, as in the paper, or by likelihood. A stack of
    one for each class, in a `Mixture`, is a classifier whose p(y|x) is that of its densities.

    Source: Rippel, Adams (2013), "High-dimensional probability estimation with deep density
    models", arXiv:1302.5125.

    Args:
        features: D.
        n_layers: L.
        alpha: of the beta law of latents.
        beta: likewise.
        knee: where s becomes a line.
        batch_shape: the component axis.
        seed: of the rotations that matrices start at.

    Raises:
        ValueError: for parameters of the law, or a knee, that are not positive.

    Example:
        >>> import torch
        >>> flow = deep_density(3, seed=0)
        >>> flow.log_prob(torch.full((2, 3), 0.5)).shape
        torch.Size([2])
    """
    stack: dict[str, Any] = {"batch_shape": tuple(batch_shape)}
    generator = make_generator(seed)
    centred = Standardize(features)
    centred.loc.fill_(0.5)
    centred.scale.fill_(0.5)
    layers: list[Transform] = [centred]
    for _ in range(n_layers):
        layers += [
            Inverse(LeakyTanh(features, knee=knee)),
            Elementwise(Additive(), features, generator=generator, **stack),
            DenseLinear(features, generator=generator, **stack),
        ]
    return Flow(LogisticBeta(features, alpha=alpha, beta=beta, **stack), Compose(layers))
