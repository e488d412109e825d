"""One set of weights, masked for any ordering."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from anabranch.functional.numbers import check_sizes
from anabranch.functional.shapes import Shape
from anabranch.networks.dependence import Dependence
from anabranch.networks.linear import Linear, affine_columns
from anabranch.networks.mlp import make_activation

Draw = Callable[[Tensor, slice], Tensor]
WeightAndBias = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Layout:
    """R orderings, and the degrees of the hidden units in each.

    Attributes:
        places: (R, D) of integers from 1; the place of each feature.
        degrees: for each hidden layer (R, size) of integers; a unit sees the features whose place
            is at most its degree.
    """

    places: Tensor
    degrees: list[Tensor]

    def __getitem__(self, which: slice) -> "Layout":
        return Layout(self.places[which], [degrees[which] for degrees in self.degrees])


class OrderlessMADE(nn.Module):
    r"""A masked autoencoder that keeps its weights and changes its masks with the ordering.

    In each ordering the hidden units have other degrees too, so that every unit is trained to be of
    use with more and with fewer features before it.

    Source: Germain, Gregor, Murray, Larochelle (2015), arXiv:1502.03509, sections 4.1 and 4.2.

    Args:
        features: D.
        n_params: outputs per feature, parameter-major: output p of feature d is number p D + d.
        orderings: R permutations of 0..D-1, the places of the features in each.
        hidden: sizes of the hidden layers.
        context_features: size of the context; 0 for none.
        direct: add a linear path from the features to the outputs of those after them.
        activation: name of the activation.
        batch_shape: the component axis.
        generator: source of the initial weights; the last layer starts at zero. (The degrees are
            always the same for the same sizes, so that a file of the weights is enough.)

    Raises:
        ValueError: where an ordering is not a permutation of 0..D-1, or there is none.

    Example:
        >>> net = OrderlessMADE(3, 2, [[0, 1, 2], [2, 1, 0]], hidden=(16,))
        >>> net.columns(torch.zeros(2, 3, 5), net.layout).shape
        torch.Size([2, 6, 5])
    """

    places: Tensor

    def __init__(
        self,
        features: int,
        n_params: int,
        orderings: Sequence[Sequence[int]] | Tensor,
        hidden: Sequence[int] = (64, 64),
        *,
        context_features: int = 0,
        direct: bool = False,
        activation: str = "relu",
        batch_shape: Shape = (),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes("hidden", hidden, empty=True)
        if not len(orderings):
            raise ValueError("orderings must hold at least one ordering")
        self.n_params, self.context_features = n_params, context_features
        self.activation = make_activation(activation)
        self._lowest = 0 if context_features else min(1, features - 1)
        outputs = n_params * features
        options: dict[str, Any] = {"batch_shape": batch_shape, "generator": generator}
        sizes = [features + context_features, *hidden]
        self.sizes = list(hidden)
        self.hidden = nn.ModuleList(Linear(a, b, **options) for a, b in pairwise(sizes))
        self.last = Linear(sizes[-1], outputs, zero=True, **options)
        self.direct = Linear(features, outputs, zero=True, **options) if direct else None
        places = [Dependence.ordered(features, list(map(int, o))).levels for o in orderings]
        self.register_buffer("places", torch.stack(places) + 1, False)
        fixed = torch.Generator().manual_seed(0)
        for i, degrees in enumerate(self._degrees(len(places), fixed)):
            self.register_buffer(f"degrees_{i}", degrees, False)
        self.shared_buffers = tuple(name for name, _ in self.named_buffers(recurse=False))

    @property
    def layout(self) -> Layout:
        """The R orderings that it was made with."""
        return Layout(self.places, [getattr(self, f"degrees_{i}") for i in range(len(self.hidden))])

    def fresh_layout(self, n: int, generator: torch.Generator | None = None) -> Layout:
        """Random orderings, n of them."""
        features = self.places.shape[1]
        places = [torch.randperm(features, generator=generator) + 1 for _ in range(n)]
        device = self.places.device
        degrees = [each.to(device) for each in self._degrees(n, generator)]
        return Layout(torch.stack(places).to(device), degrees)

    def columns(self, x: Tensor, layout: Layout, context: Tensor | None = None) -> Tensor:
        """Parameters in each ordering of a layout of R.

        Args:
            x: (*batch_shape, R, D, N).
            layout: the orderings.
            context: (*batch_shape, R, context_features, N).

        Returns:
            (*batch_shape, R, n_params * D, N).
        """
        return self._evaluate(self._masked(layout), x, context)

    def in_turn(
        self, layout: Layout, draw: Draw, like: Tensor, context: Tensor | None = None
    ) -> Tensor:
        r"""Give the features their values one after the other, in one ordering, in D passes.

        Args:
            layout: one ordering.
            draw: from the parameters (n_params, \*batch_shape, 1, N) of the feature at a place (a
                slice) to its values (\*batch_shape, 1, N).
            like: (\*batch_shape, D, N), gives shape, dtype and device.
            context: columns (\*batch_shape, context_features, N).

        Returns:
            The values, columns (\*batch_shape, D, N) in natural order.
        """
        layers = self._masked(layout)
        given = None if context is None else context.unsqueeze(-3)
        values = list(torch.zeros_like(like).split(1, -2))
        for place, d in enumerate(layout.places[0].argsort().tolist()):
            x = torch.cat(values, -2).unsqueeze(-3)
            columns = self._evaluate(layers, x, given).squeeze(-3)
            params = columns.unflatten(-2, (self.n_params, -1))[..., d : d + 1, :].movedim(-3, 0)
            values[d] = draw(params, slice(place, place + 1))
        return torch.cat(values, -2)

    def _masked(self, layout: Layout) -> list[WeightAndBias]:
        """Weights and biases of the hidden layers, the last, and the direct one if there is one."""
        places = layout.places
        seen = [torch.cat((places, places.new_zeros(len(places), self.context_features)), 1)]
        layers: list[WeightAndBias] = []
        for layer, degrees in zip(self.hidden, layout.degrees, strict=True):
            layers.append(_masked(layer, degrees[:, :, None] >= seen[-1][:, None, :]))
            seen.append(degrees)
        wanted = places.repeat(1, self.n_params)[:, :, None]
        layers.append(_masked(self.last, wanted > seen[-1][:, None, :]))
        if self.direct is not None:
            layers.append(_masked(self.direct, wanted > places[:, None, :]))
        return layers

    def _evaluate(self, layers: list[WeightAndBias], x: Tensor, context: Tensor | None) -> Tensor:
        columns = x if context is None else torch.cat((x, context), -2)
        n_hidden = len(self.hidden)
        for layer in layers[:n_hidden]:
            columns = self.activation(affine_columns(*layer, columns))
        columns = affine_columns(*layers[n_hidden], columns)
        for layer in layers[n_hidden + 1 :]:
            columns = columns + affine_columns(*layer, x)
        return columns

    def _degrees(self, rows: int, generator: torch.Generator | None) -> list[Tensor]:
        """Degrees of the hidden units, spread evenly and shuffled for each ordering."""
        highest = self.places.shape[1] - 1
        result = []
        for size in self.sizes:
            even = torch.arange(size) * (highest - self._lowest + 1) // max(size, 1) + self._lowest
            shuffles = [torch.randperm(size, generator=generator) for _ in range(rows)]
            result.append(even[torch.stack(shuffles)])
        return result


def _masked(layer: Any, mask: Tensor) -> WeightAndBias:
    weight = layer.weight.unsqueeze(-3)
    return weight * mask.to(weight.dtype), layer.bias.unsqueeze(-3)
