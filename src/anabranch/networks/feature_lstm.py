"""Autoregressive networks over features that read them one after another."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from anabranch.functional import expand_batch, split_parameters
from anabranch.functional.numbers import check_whole
from anabranch.functional.shapes import Shape
from anabranch.networks.linear import Linear
from anabranch.networks.mlp import join_context
from anabranch.networks.ordered_features import OrderedFeatures
from anabranch.networks.row_lstm import lstm_cell

Draw = Callable[[Tensor, slice], Tensor]


class FeatureReader(OrderedFeatures):
    r"""A network whose parameters of a feature are read off all that stand before; abstract.

    Args:
        features: D.
        n_params: outputs per feature, parameter-major.
        width: of what is inside.
        context_features: size of the context; 0 for none.
        ordering: places of the features, a permutation of 0..D-1.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Raises:
        ValueError: for a width below 1, or an order that is no permutation.
    """

    def __init__(
        self,
        features: int,
        n_params: int,
        *,
        width: int = 32,
        context_features: int = 0,
        ordering: Sequence[int] | None = None,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__(
            features,
            n_params,
            context_features=context_features,
            ordering=ordering,
            batch_shape=batch_shape,
        )
        self.width = width
        check_whole(self, ("width",), 1)
        self._build(features, batch_shape=self.batch_shape, generator=generator)

    @abstractmethod
    def _build(self, features: int, **how: Any) -> None:
        """Make the layers, each with a component axis and weights from the generator."""

    @abstractmethod
    def _read(self, before: Tensor, context: Tensor | None) -> Tensor:
        r"""Parameters of all places, of what stands before each.

        Args:
            before: (\*batch_shape, n, N): of the first n places the value before, zero at first.
            context: columns (\*batch_shape, C, N) or (C, N).

        Returns:
            (n_params, \*batch_shape, n, N).
        """

    def columns(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The same on columns: (*batch_shape, D, N) to (*batch_shape, n_params * D, N)."""
        arranged = self.arranged(expand_batch(x, self.batch_shape, 1))
        before = torch.cat((torch.zeros_like(arranged[..., :1, :]), arranged[..., :-1, :]), -2)
        params = self._read(before, context).index_select(-2, self.inverse_order)
        return torch.cat(params.unbind(0), -2)

    def in_turn(self, draw: Draw, like: Tensor, context: Tensor | None = None) -> Tensor:
        """Give the features their values one after another; see `MADE.in_turn`.

        Each turn reads all that stands before once more.
        """
        values = torch.zeros_like(like[..., :1, :])
        for place in range(len(self.order)):
            params = self._read(values, context)[..., place : place + 1, :]
            values = torch.cat((values, draw(params, slice(place, place + 1))), -2)
        return values[..., 1:, :].index_select(-2, self.inverse_order)


class FeatureLSTM(FeatureReader):
    r"""An LSTM that goes from feature to feature, told the context at each.

    .. math:: (o, f, i, g)_d = W\, [x_{d-1}, c, h_{d-1}] + b, \quad
        c_d = \sigma(f) c_{d-1} + \sigma(i) \tanh(g), \quad h_d = \sigma(o) \tanh(c_d), \quad
        \theta_d = V h_d + v

    One set of weights serves all features, and the last layer starts at zero.

    Source: Hochreiter, Schmidhuber (1997), "Long short-term memory"; as the network of an inverse
    autoregressive flow: Kingma et al. (2016), arXiv:1606.04934, section 4, which leaves it open.

    Args:
        features: D.
        n_params: outputs per feature, parameter-major.
        width: numbers of the state.
        context_features: size of the context; 0 for none.
        ordering: places of the features, a permutation of 0..D-1.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Raises:
        ValueError: for a width below 1, or an order that is no permutation.

    Example:
        >>> FeatureLSTM(3, 2, width=8)(torch.zeros(5, 3)).shape
        torch.Size([5, 6])
    """

    def _build(self, features: int, **how: Any) -> None:
        width = self.width
        # places differ: each has a number of its own that says which it is
        inputs = 1 + features + self.context_features + width
        self.gates = Linear(inputs, 4 * width, **how)
        self.last = Linear(width, self.n_params, zero=True, **how)

    def _read(self, before: Tensor, context: Tensor | None) -> Tensor:
        state = cell = torch.zeros_like(before[..., :1, :]).expand(
            *before.shape[:-2], self.width, before.shape[-1]
        )
        places = torch.eye(len(self.order), dtype=before.dtype, device=before.device)
        found = []
        for place, value in enumerate(before.split(1, -2)):
            told = places[place][:, None].expand(*value.shape[:-2], -1, value.shape[-1])
            known = torch.cat((value, told, state), -2)
            gates = self.gates.columns(join_context(known, context, self.context_features))
            state, cell = lstm_cell(gates, cell, -2)
            found.append(split_parameters(self.last.columns(state), self.n_params))
        return torch.cat(found, -2)


class FeatureConvolution(FeatureReader):
    r"""Gated convolutions over the features in a row: a PixelCNN of one row.

    .. math:: h \leftarrow h + \tanh(W_f * h + V_f c) \odot \sigma(W_g * h + V_g c)

    Each layer sees two places, twice as far apart as the layer before, and there are as many layers
    as it takes to see all features before one.

    Source: van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves, Kavukcuoglu (2016), "Conditional
    image generation with PixelCNN decoders", arXiv:1606.05328; distances that double: van den Oord
    et al. (2016), "WaveNet: a generative model for raw audio", arXiv:1609.03499.

    Args:
        features: D.
        n_params: outputs per feature, parameter-major.
        width: maps.
        context_features: size of the context; 0 for none.
        ordering: places of the features, a permutation of 0..D-1.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Raises:
        ValueError: for a width below 1, or an order that is no permutation.

    Example:
        >>> FeatureConvolution(3, 2, width=8)(torch.zeros(5, 3)).shape
        torch.Size([5, 6])
    """

    def _build(self, features: int, **how: Any) -> None:
        width = self.width
        self.first = Linear(1 + features, width, **how)
        self.layers = nn.ModuleList(
            Linear(2 * width + self.context_features, 2 * width, **how)
            for _ in range(max(1, (features - 1).bit_length()))
        )
        self.last = Linear(width, self.n_params, zero=True, **how)

    def _read(self, before: Tensor, context: Tensor | None) -> Tensor:
        n, rows = before.shape[-2:]
        places = torch.eye(len(self.order), dtype=before.dtype, device=before.device)
        told = places[:, :n, None].expand(*before.shape[:-2], -1, n, rows)
        # maps (*batch, width, n, N), of which layers see columns (*batch, width, n N)
        maps = self.first.columns(torch.cat((before.unsqueeze(-3), told), -3).flatten(-2))
        maps = maps.unflatten(-1, (n, rows))
        for depth, layer in enumerate(self.layers):
            away = min(2**depth, n)
            nothing = torch.zeros_like(maps[..., :1, :]).expand(*maps.shape[:-2], away, rows)
            farther = torch.cat((nothing, maps), -2).narrow(-2, 0, n)
            columns = torch.cat((maps, farther), -3).flatten(-2)
            spread = None if context is None else context.repeat(*(1,) * (context.ndim - 1), n)
            gates = layer.columns(join_context(columns, spread, self.context_features))  # pyright: ignore
            content, gate = gates.unflatten(-1, (n, rows)).chunk(2, -3)
            maps = maps + torch.tanh(content) * torch.sigmoid(gate)
        params = self.last.columns(maps.flatten(-2)).unflatten(-1, (n, rows))
        return params.movedim(-3, 0)
