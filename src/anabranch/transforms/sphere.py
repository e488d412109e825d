"""Flows on spheres, angle by height by height."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from anabranch.contracts.domain import Sphere
from anabranch.contracts.transform import Pair, Transform
from anabranch.functional import expand_batch, split_parameters
from anabranch.functional.shapes import Shape
from anabranch.networks import MLP
from anabranch.transforms.autoregressive import Autoregressive
from anabranch.transforms.elementwise import Elementwise
from anabranch.transforms.scalar.circle import CircleMap, Moebius
from anabranch.transforms.scalar.spline import RationalQuadratic


class RecursiveSphere(Transform):
    r"""A map of the sphere: splines of the heights, then a map of the angle around the axis.

    A unit vector of D numbers is an angle :math:`\theta` of the first two and the heights
    :math:`h_d = x_d / |x_{\le d}|`, d = 3..D. With
    :math:`m(h) = \sum_d (\tfrac{d - 1}2 - 1) \log(1 - h_d^2)`

    .. math:: h_d' = g(h_d; \psi(h_{>d}, c)), \qquad \theta' = f(\theta; \psi(h, c)), \qquad
        \mathrm{term} = \sum_d \log g' + \log f' + m(h') - m(h)

    On the sphere in three dimensions m vanishes: a cylinder has the areas of the ball in it. The
    axis is the last one; turn the sphere between layers by `Rotation`.

    Args:
        features: D, at least 2.
        circle_map: of the angle; its networks see the heights only.
        bins: of the splines of the heights.
        hidden: hidden sizes of each network.
        context_features: size of the context; 0 for none.
        activation: of the networks.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Raises:
        ValueError: for fewer than two features.

    Source: Rezende et al. (2020), "Normalizing flows on tori and spheres", arXiv:2002.02428,
    with the term that the text gives for the general case.

    Example:
        >>> transform = RecursiveSphere(3, hidden=(8,))
        >>> z, term = transform.encode(torch.tensor([[0.6, 0.0, 0.8]]))
        >>> z.detach(), term.detach()
        (tensor([[0.6000, 0.0000, 0.8000]]), tensor([0.]))
    """

    domain = codomain = Sphere()

    def __init__(
        self,
        features: int,
        *,
        circle_map: CircleMap | None = None,
        bins: int = 8,
        hidden: Sequence[int] = (64,),
        context_features: int = 0,
        activation: str = "tanh",
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape, context_shape=context_features)
        if features < 2:
            raise ValueError(f"a sphere needs at least 2 features, got {features}")
        self.circle_map = Moebius(8) if circle_map is None else circle_map
        self.n_heights = features - 2
        self.conditioner = MLP(
            self.n_heights,
            self.circle_map.n_params,
            hidden,
            context_features=context_features,
            activation=activation,
            batch_shape=batch_shape,
            zero_last=True,
            generator=generator,
        )
        self.heights: Transform | None = None
        if self.n_heights:
            common: dict[str, Any] = {"context_features": context_features, "hidden": hidden}
            common |= {"batch_shape": batch_shape, "generator": generator}
            if self.n_heights > 1:
                common["activation"] = activation
            structure = Elementwise if self.n_heights == 1 else Autoregressive
            spline = RationalQuadratic(bins, 1.0, "free")
            self.heights = structure(spline, self.n_heights, **common)

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        angle, heights, measure = unrolled(expand_batch(x, self.batch_shape, 1))
        turned, term = self.circle_map.encode(angle, self._params(heights, context))
        if self.heights is None:
            return rolled(turned, heights)[0], term
        moved, log_slope = self.heights._encode(heights, context, generator)
        z, after = rolled(turned, moved)
        return z, term + log_slope + after - measure

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        turned, moved, measure = unrolled(expand_batch(z, self.batch_shape, 1))
        heights, log_slope = moved, 0.0
        if self.heights is not None:
            heights, log_slope = self.heights._decode(moved, context, generator)
        angle, term = self.circle_map.decode(turned, self._params(heights, context))
        x, after = rolled(angle, heights)
        return x, term + log_slope + after - measure

    def _params(self, heights: Tensor, context: Tensor | None) -> Tensor:
        """Parameters of the map of the angle, (n_params, *batch_shape, N)."""
        columns = self.conditioner.columns(heights.mT, None if context is None else context.mT)
        return split_parameters(columns, self.circle_map.n_params).squeeze(-2)


def unrolled(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""Unit vectors (..., D) as angles (...), heights (..., D - 2) and m(h), (...).

    The heights come from the last axis down. At a pole, where any angle is right, it is 0.

    Example:
        >>> angle, heights, _ = unrolled(torch.tensor([[0.0, 0.6, 0.8]]))
        >>> angle, heights
        (tensor([1.5708]), tensor([[0.8000]]))
    """
    heights, measure = [], torch.zeros_like(x[..., 0])
    for d in range(x.shape[-1] - 1, 1, -1):
        heights.append(x[..., d])
        x, square = _rest(x[..., :d])
        measure = measure + (d / 2 - 1) * square.log()
    angle = torch.remainder(torch.atan2(x[..., 1], x[..., 0]), 2 * torch.pi)
    stacked = torch.stack(heights, -1) if heights else x[..., :0]
    return angle, stacked, measure


def rolled(angle: Tensor, heights: Tensor) -> tuple[Tensor, Tensor]:
    """Undo `unrolled`; unit vectors (..., D), and m(h)."""
    x, measure = torch.stack((angle.cos(), angle.sin()), -1), torch.zeros_like(angle)
    tiny = _tiny(angle)
    for d, height in enumerate(heights.flip(-1).unbind(-1), 2):
        square = ((1 - height) * (1 + height)).clamp_min(tiny)
        measure = measure + (d / 2 - 1) * square.log()
        x = torch.cat((x * square.sqrt().unsqueeze(-1), height.unsqueeze(-1)), -1)
    return x, measure


def _rest(x: Tensor) -> tuple[Tensor, Tensor]:
    """What is left of a unit vector without its height, at length one, and its squared length."""
    square = x.square().sum(-1, keepdim=True)
    pole = square < _tiny(x)
    first = torch.zeros_like(x)
    first[..., 0] = _tiny(x) ** 0.5
    x = torch.where(pole, first, x)
    square = torch.where(pole, _tiny(x), square)
    return x / square.sqrt(), square.squeeze(-1)


def _tiny(like: Tensor) -> float:
    """A squared length that still divides."""
    return torch.finfo(like.dtype).eps ** 2
