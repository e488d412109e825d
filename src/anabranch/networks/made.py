"""MADE: a network whose outputs for feature d see only the features before d."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from anabranch.functional import expand_batch
from anabranch.functional.shapes import Shape
from anabranch.networks.linear import Linear
from anabranch.networks.mlp import join_context, make_activation, run_columns


class MADE(nn.Module):
    r"""Masked autoencoder for distribution estimation.

    Feature d has a place ``ordering[d]`` in 1..D. Hidden unit k has a degree m_k; it sees the
    features whose place is <= m_k, and feeds the outputs of the features whose place is > m_k. The
    degrees are sorted and spread evenly; the context has degree 0, so that all outputs see it.

    Source: Germain, Gregor, Murray, Larochelle (2015), arXiv:1502.03509.

    Args:
        features: D.
        n_params: outputs per feature, parameter-major: output p of feature d is number p D + d.
        hidden: sizes of the hidden layers.
        context_features: size of the context; 0 for none.
        ordering: a permutation of 0..D-1, the places of the features; natural order by default.
        activation: name of the activation.
        batch_shape: the component axis.
        generator: source of the initial weights; the last layer starts at zero.

    Raises:
        ValueError: where ordering is not a permutation of 0..D-1.

    Example:
        >>> net = MADE(3, 2, hidden=(16,))
        >>> net(torch.zeros(5, 3)).shape
        torch.Size([5, 6])
    """

    def __init__(
        self,
        features: int,
        n_params: int,
        hidden: Sequence[int] = (64, 64),
        *,
        context_features: int = 0,
        ordering: Sequence[int] | None = None,
        activation: str = "relu",
        batch_shape: Shape = (),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.context_features = context_features
        places = _places(features, ordering)
        # Without a context, units of degree 0 would see nothing at all.
        lowest = 0 if context_features else min(1, features - 1)
        degrees = torch.cat((places, places.new_zeros(context_features)))
        self.activation = make_activation(activation)
        self.hidden = nn.ModuleList()
        for size in hidden:
            following = spread_degrees(size, lowest, features - 1)
            mask = following[:, None] >= degrees[None, :]
            self.hidden.append(_masked(mask, batch_shape, generator))
            degrees = following
        mask = (places[:, None] > degrees[None, :]).repeat(n_params, 1)
        self.last = _masked(mask, batch_shape, generator, zero=True)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map (*batch_shape, N, D) to (*batch_shape, N, n_params * D)."""
        x = expand_batch(x, self.last.batch_shape, 1)
        return self.columns(x.mT, None if context is None else context.mT).mT

    def columns(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The same on columns: (*batch_shape, D, N) to (*batch_shape, n_params * D, N)."""
        columns = join_context(x, context, self.context_features)
        return run_columns(self.hidden, self.activation, self.last, columns)


def spread_degrees(size: int, lowest: int, highest: int) -> Tensor:
    """Degrees of ``size`` hidden units, sorted and spread evenly over lowest..highest.

    Example:
        >>> spread_degrees(4, 1, 2)
        tensor([1, 1, 2, 2])
    """
    span = highest - lowest + 1
    return lowest + torch.arange(size) * span // max(size, 1)


def _places(features: int, ordering: Sequence[int] | None) -> Tensor:
    places = torch.arange(features) if ordering is None else torch.as_tensor(list(ordering))
    if sorted(places.tolist()) != list(range(features)):
        raise ValueError(
            f"ordering must be a permutation of 0..{features - 1}, got {places.tolist()}"
        )
    return places + 1


def _masked(
    mask: Tensor, batch_shape: Shape, generator: torch.Generator | None, *, zero: bool = False
) -> Linear:
    outputs, inputs = mask.shape
    return Linear(
        inputs, outputs, batch_shape=batch_shape, mask=mask, zero=zero, generator=generator
    )
