"""Networks of velocities, which know how they change with place."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from anabranch.functional.numbers import check_sizes
from anabranch.functional.shapes import Shape, expand_batch
from anabranch.networks.linear import Linear

N_CLOCK = 3  # numbers that tell the time


class VelocityNet(nn.Module):
    r"""A velocity :math:`v(t, x, c)` by layers of tanh, and its derivatives along directions.

    The layers see x, the context, and the time as t, :math:`\sin 2\pi t` and
    :math:`\cos 2\pi t`. Derivatives :math:`\partial v / \partial x\, e` are carried through the
    layers beside the values, so that a divergence costs no backward pass.

    Args:
        features: D, of x and of v.
        hidden: hidden sizes.
        context_features: size of the context; 0 for none.
        batch_shape: the component axis.
        generator: source of the initial weights; the last layer starts at zero.

    Raises:
        ValueError: for hidden sizes that are no positive integers, or none.

    Example:
        >>> net = VelocityNet(2, (8,))
        >>> net(torch.tensor(0.5), torch.zeros(4, 2)).shape
        torch.Size([4, 2])
    """

    def __init__(
        self,
        features: int,
        hidden: Sequence[int] = (64, 64),
        *,
        context_features: int = 0,
        batch_shape: Shape = (),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes("hidden", hidden)
        self.features, self.context_features = features, context_features
        self.batch_shape = tuple(batch_shape)
        how = {"batch_shape": batch_shape, "generator": generator}
        sizes = [features + N_CLOCK + context_features, *hidden]
        self.hidden = nn.ModuleList(Linear(a, b, **how) for a, b in pairwise(sizes))
        self.last = Linear(sizes[-1], features, zero=True, **how)

    def forward(self, t: Tensor, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The velocity, (*batch_shape, N, D).

        Args:
            t: a number, or (N,), or (*batch_shape, N).
            x: (N, D) or (*batch_shape, N, D).
            context: (N, C) or (*batch_shape, N, C), where it takes one.
        """
        return self.with_derivatives(t, x, context, None)[0]

    def with_derivatives(
        self, t: Tensor, x: Tensor, context: Tensor | None, directions: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        r"""The velocity, and :math:`\partial v / \partial x\, e` for each of M directions.

        Args:
            t: as in ``forward``.
            x: likewise.
            context: likewise.
            directions: e, (M, D), the same for all rows, or of each, (M, N, D) or
                (M, *batch_shape, N, D); None for none.

        Returns:
            (*batch_shape, N, D) and (M, *batch_shape, N, D).
        """
        rows = self._input(t, expand_batch(x, self.batch_shape, 1), context)
        tangents = None
        if directions is not None:
            shape = (len(directions), *rows.shape[:-1], self.features)
            ones = (1,) * (len(shape) - directions.ndim)
            told = directions.reshape(len(directions), *ones, *directions.shape[1:]).expand(shape)
            tangents = nn.functional.pad(told, (0, rows.shape[-1] - self.features))
        for layer in self._layers:
            rows = torch.tanh(layer(rows))
            if tangents is not None:
                tangents = (1 - rows.square()) * (tangents @ layer.weight.mT)
        if tangents is not None:
            tangents = tangents @ self.last.weight.mT
        return self.last(rows), tangents

    @property
    def _layers(self) -> list[Linear]:
        return list(self.hidden)  # pyright: ignore[reportReturnType] - it holds nothing else

    def divergence(self, t: Tensor, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """The velocity and its divergence, (*batch_shape, N), exactly, by D directions."""
        eye = torch.eye(self.features, dtype=x.dtype, device=x.device)
        velocity, along = self.with_derivatives(t, x, context, eye)
        assert along is not None
        return velocity, along.diagonal(dim1=0, dim2=-1).sum(-1)

    def _input(self, t: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
        turn = 2 * math.pi * t
        clock = torch.stack([t, torch.sin(turn), torch.cos(turn)], -1).to(x)
        parts = [x, clock.expand(*x.shape[:-1], N_CLOCK)]
        if self.context_features:
            if context is None:
                raise ValueError(f"a context of {self.context_features} numbers is required")
            parts.append(context.expand(*x.shape[:-1], self.context_features))
        return torch.cat(parts, -1)
