"""Planar flows: a ridge along one direction."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from anabranch.contracts.transform import Transform
from anabranch.functional import expand_batch
from anabranch.functional.roots import find_root, implicit
from anabranch.functional.shapes import Shape
from anabranch.networks.amortised import Amortised

# The least slope along w: below it single precision could not undo the map.
FLOOR = 1e-3
ORIGIN = math.log(math.expm1(1 - FLOOR))  # softplus of it is 1 - FLOOR


class Planar(Transform):
    r"""Move x along one direction by a ridge function of its projection on another.

    .. math:: z = x + \hat u \tanh(a + b),\; a = w^\top x, \qquad
        \mathrm{term} = \log(1 + (1 - \tanh^2(a + b))\, w^\top \hat u)

    It is invertible where :math:`w^\top \hat u > -1`, which a change of u along w ensures:
    :math:`\hat u = u + (m(w^\top u) - w^\top u)\, w / \|w\|^2` with
    :math:`m(t) = \epsilon - 1 + \mathrm{softplus}(t + c)`. Here c makes m(0) = 0, so that u = 0,
    where it starts, is the identity; the paper's m(0) < 0 has no limit at w = 0.

    ``encode`` is in closed form. ``decode`` solves the scalar equation
    :math:`a + w^\top \hat u \tanh(a + b) = w^\top z` numerically, with exact gradients. For fast
    draws, as variational inference wants them, use its `Inverse`.

    Source: Rezende, Mohamed (2015), "Variational inference with normalizing flows",
    arXiv:1505.05770.

    Args:
        features: D.
        context_features: size of the context; with one, an MLP of it gives w, u and b.
        hidden: hidden sizes of that MLP.
        batch_shape: the component axis.
        generator: source of the initial w and b.

    Example:
        >>> planar = Planar(2, generator=torch.Generator().manual_seed(0))
        >>> planar.set_parameters(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0]), 0.0)
        >>> z, term = planar.encode(torch.tensor([[100.0, 5.0]]))
        >>> z.detach(), term.abs().detach()
        (tensor([[100.,   7.]]), tensor([0.]))
    """

    def __init__(
        self,
        features: int,
        *,
        context_features: int = 0,
        hidden: Sequence[int] = (64,),
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape, context_shape=context_features)
        direction = torch.randn(*batch_shape, features, 1, generator=generator)
        offset = torch.randn(*batch_shape, 1, 1, generator=generator)
        self.parameters_of = Amortised(
            torch.cat((direction, torch.zeros_like(direction), offset), -2),
            context_features=context_features,
            hidden=hidden,
            batch_shape=batch_shape,
            generator=generator,
        )

    @torch.no_grad()
    def set_parameters(self, w: Tensor, u: Tensor, b: Tensor | float) -> None:
        r"""Set w and u, (\*batch_shape, D), and b, (\*batch_shape,), of a map without context."""
        offset = torch.as_tensor(b, dtype=w.dtype).expand(w.shape[:-1]).unsqueeze(-1)
        self.parameters_of.free.copy_(torch.cat((w, u, offset), -1).unsqueeze(-1))

    def _split(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        r"""w, û, b and :math:`w^\top \hat u`, as columns."""
        w, u, b = self.parameters_of.columns(context).split((*self.event_shape * 2, 1), -2)
        along = (w * u).sum(-2, keepdim=True)
        slope = FLOOR - 1 + softplus(along + ORIGIN)
        length = w.square().sum(-2, keepdim=True).clamp_min(1e-12)
        return w, u + (slope - along) / length * w, b, slope

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        w, u, b, slope = self._split(context)
        x = expand_batch(x, self.batch_shape, 1).mT
        ridge = torch.tanh(_project(w, x) + b)
        term = torch.log1p((1 - ridge.square()) * slope)
        return (x + u * ridge).mT, term.squeeze(-2)

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        # in double precision: where the slope is small, single precision finds no root
        w, u, b, slope = (part.double() for part in self._split(context))
        columns = expand_batch(z, self.batch_shape, 1).mT.double()
        a = _solve(_project(w, columns), b, slope)
        ridge = torch.tanh(a + b)
        term = torch.log1p((1 - ridge.square()) * slope)
        return (columns - u * ridge).mT.to(z.dtype), -term.squeeze(-2).to(z.dtype)


def _project(w: Tensor, x: Tensor) -> Tensor:
    """The dot products of columns, (*batch, 1, N)."""
    return w.mT @ x if w.shape[-1] == 1 else (w * x).sum(-2, keepdim=True)


def _solve(target: Tensor, b: Tensor, slope: Tensor) -> Tensor:
    """The a with a + slope tanh(a + b) = target, with gradients."""

    def ridge(a: Tensor) -> Tensor:
        return a + slope * torch.tanh(a + b)

    reach = slope.detach().abs()
    root = find_root(ridge, target, lower=target.detach() - reach, upper=target.detach() + reach)
    steepness = 1 + slope * (1 - torch.tanh(root + b).square())
    return implicit(ridge, root, target, steepness)
