"""Block-triangular networks: each feature has hidden units of its own, and rises with them."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from anabranch.functional import bounded
from anabranch.functional.numbers import check_sizes
from anabranch.functional.shapes import Shape

Weights = tuple[Tensor, Tensor, Tensor]


class Rise(NamedTuple):
    """The map of one feature to its output, elementwise from (*batch_shape, 1, N).

    Attributes:
        parts: of each layer, the block of the feature and what the features before it add.
    """

    parts: list[tuple[Tensor, Tensor]]

    def __call__(self, x: Tensor) -> Tensor:
        """The output."""
        return _layers(self.parts, x)[-1]

    def slope(self, x: Tensor) -> Tensor:
        """Its derivative, which is positive."""
        slope = self.parts[0][0]
        for (block, _), value in zip(self.parts[1:], _layers(self.parts, x)[:-1], strict=True):
            slope = block @ ((1 - torch.tanh(value).square()) * slope)
        return slope


Solve = Callable[[int, Rise, Tensor], Tensor]


class BlockLinear(nn.Module):
    r"""A linear map of D blocks: free below the diagonal, positive on it, zero above it.

    .. math:: W = e^{g}\, \frac{V}{\|V\|},\qquad
        V_{ij} = e^{b \tanh(R_{ij} / b)},\; V_{ij} = R_{ij},\; V_{ij} = 0

    on, below and above the diagonal blocks; norms and gains g are of rows (weight normalisation).
    So the units of block d depend on blocks 1..d of the input, and rise with those of block d.

    Args:
        features: D.
        in_units: units of each input block.
        out_units: units of each output block.
        context_features: size of a context that all blocks see; 0 for none.
        slope: the norm that rows start with, divided by the root of in_units.
        spread: limit of the initial biases.
        bound: limit b of the logarithms on the diagonal, and of the gains.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Source: De Cao, Titov, Aziz (2019), "Block neural autoregressive flow", arXiv:1904.04676.
    """

    shared_buffers = ("diagonal", "below")
    diagonal: Tensor
    below: Tensor

    def __init__(
        self,
        features: int,
        in_units: int,
        out_units: int,
        *,
        context_features: int = 0,
        slope: float = 1.0,
        spread: float = 1.0,
        bound: float = 5.0,
        batch_shape: Shape = (),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.features, self.in_units, self.out_units = features, in_units, out_units
        self.bound, self.batch_shape = bound, tuple(batch_shape)
        blocks = torch.ones(out_units, in_units)
        self.register_buffer("diagonal", torch.kron(torch.eye(features), blocks), False)
        below = torch.ones(features, features).tril(-1)
        self.register_buffer("below", torch.kron(below, blocks), False)
        rows, columns = features * out_units, features * in_units

        def uniform(size: int, limit: float) -> nn.Parameter:
            values = torch.empty(*batch_shape, rows, size)
            return nn.Parameter(values.uniform_(-limit, limit, generator=generator))

        self.weight = uniform(columns, 1.0)
        # the units of a block rise together: their sum, not its square, should keep its size
        gain = math.log(slope) - 0.5 * math.log(in_units)
        self.gain = nn.Parameter(torch.full((*batch_shape, rows, 1), gain))
        self.bias = uniform(1, spread)
        self.conditions = uniform(context_features, 0.3) if context_features else None

    def weights(self, dtype: torch.dtype) -> Weights:
        r"""The matrix (\*batch_shape, D out, D in), logs of its diagonal blocks, and the bias."""
        raw, below = self.weight.to(dtype), self.below.to(dtype)
        logs = bounded(raw, self.bound)
        matrix = logs.exp() * self.diagonal.to(dtype) + raw * below
        norm = torch.linalg.vector_norm(matrix, dim=-1, keepdim=True)
        log_scale = bounded(self.gain.to(dtype), self.bound) - norm.log()
        return matrix * log_scale.exp(), self._blocks(logs + log_scale), self.bias.to(dtype)

    def _blocks(self, matrix: Tensor) -> Tensor:
        r"""The diagonal blocks, (\*batch_shape, D, out, in)."""
        blocks = matrix.unflatten(-1, (self.features, self.in_units))
        blocks = blocks.unflatten(-3, (self.features, self.out_units))
        return blocks.diagonal(dim1=-4, dim2=-2).movedim(-1, -3)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        stack = f", batch_shape={self.batch_shape}" if self.batch_shape else ""
        return f"{self.features} x {self.in_units}, {self.features} x {self.out_units}{stack}"


class BlockNetwork(nn.Module):
    r"""A network whose output d rises with feature d and depends on features 1..d only.

    Block-triangular layers with tanh between them, and one unit a feature at the end. The output
    is bounded. The derivatives of outputs by their own features are products of the diagonal
    blocks; they are multiplied as logarithms, so that they neither vanish nor overflow.

    Args:
        features: D.
        hidden: units of each feature in the hidden layers.
        context_features: size of the context; 0 for none.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Raises:
        ValueError: where there is no hidden layer.

    Source: De Cao, Titov, Aziz (2019), arXiv:1904.04676.

    Example:
        >>> network = BlockNetwork(3, (8, 8))
        >>> y, log_slope = network.columns(torch.zeros(3, 5))
        >>> y.shape, log_slope.shape
        (torch.Size([3, 5]), torch.Size([3, 5]))
    """

    def __init__(
        self,
        features: int,
        hidden: Sequence[int] = (50, 50),
        *,
        context_features: int = 0,
        batch_shape: Shape = (),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes("hidden", hidden)
        self.features = features
        self._layers = nn.ModuleList(
            BlockLinear(
                features,
                fan_in,
                fan_out,
                context_features=0 if i else context_features,
                # steep units that bend all over the range of normalised data
                slope=2.0 if i else 2.7,
                spread=1.0 if i else 3.0,
                batch_shape=batch_shape,
                generator=generator,
            )
            for i, (fan_in, fan_out) in enumerate(pairwise((1, *hidden, 1)))
        )

    @property
    def layers(self) -> list[BlockLinear]:
        """The layers, in order."""
        return list(self._layers)  # pyright: ignore[reportReturnType] - it holds nothing else

    def columns(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        r"""Evaluate on columns (\*batch_shape, D, N) and (\*, C, N).

        Returns:
            The outputs and the logs of their derivatives by their own features, both
            (\*batch_shape, D, N).
        """
        weights = self._weights(x.dtype, context)
        matrix, logs, bias = weights[0]
        hidden = matrix @ x + bias
        for matrix, log_blocks, bias in weights[1:]:
            logs = logs + log_tanh_slope(hidden).unflatten(-2, (self.features, -1))
            logs = log_matmul(log_blocks, logs)
            hidden = matrix @ torch.tanh(hidden) + bias
        return hidden, logs.squeeze(-2)

    def in_turn(self, solve: Solve, context: Tensor | None = None) -> Tensor:
        r"""Find the features one after another, each from those before it.

        What known features add to each layer is computed once, so that all features together cost
        one evaluation and the solving.

        Args:
            solve: called with d, the map of feature d to output d, elementwise from
                (\*batch_shape, 1, N) in double precision, and a bound of its size,
                (\*batch_shape, 1, 1 or N); it returns the feature, (\*batch_shape, 1, N).
            context: columns (\*, C, N).

        Returns:
            The features, (\*batch_shape, D, N), in double precision.
        """
        weights = self._weights(torch.float64, context)
        known: list[Tensor] = []
        for d in range(self.features):
            parts = [self._part(i, d, weights[i], known) for i in range(len(weights))]
            last, offset = parts[-1]
            x = solve(d, Rise(parts), last.sum(-1, True) + offset.abs())
            values = [x, *map(torch.tanh, _layers(parts, x)[:-1])]
            known = (
                [torch.cat(pair, -2) for pair in zip(known, values, strict=True)] if d else values
            )
        return known[0]

    def _weights(self, dtype: torch.dtype, context: Tensor | None) -> list[Weights]:
        """Of each layer; the context is part of the first one's bias."""
        weights = [layer.weights(dtype) for layer in self.layers]
        conditions = self.layers[0].conditions
        if conditions is not None and context is not None:
            matrix, logs, bias = weights[0]
            weights[0] = matrix, logs, bias + conditions.to(dtype) @ context.to(dtype)
        return weights

    def _part(self, i: int, d: int, weights: Weights, known: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Layer i of feature d: its own block, and what the features before it add."""
        layer, (matrix, _, bias) = self.layers[i], weights
        rows = slice(d * layer.out_units, (d + 1) * layer.out_units)
        first, last = d * layer.in_units, (d + 1) * layer.in_units
        offset = bias[..., rows, :]
        if d:
            offset = offset + matrix[..., rows, :first] @ known[i]
        return matrix[..., rows, first:last], offset


def _layers(parts: list[tuple[Tensor, Tensor]], x: Tensor) -> list[Tensor]:
    """What the layers of one feature give before their tanh."""
    values: list[Tensor] = []
    for i, (block, offset) in enumerate(parts):
        values.append(block @ (torch.tanh(values[-1]) if i else x) + offset)
    return values


def log_matmul(logs: Tensor, log_x: Tensor) -> Tensor:
    r"""The product of positive matrices by their logarithms: :math:`\log(e^A e^X)`.

    X may have entries of any size; those of A should span no more than the exponent range.

    Args:
        logs: A, (..., n, m).
        log_x: X, (..., m, N), or one that broadcasts.

    Example:
        >>> log_matmul(torch.zeros(1, 2), torch.full((2, 1), -99.0))
        tensor([[-98.3069]])
    """
    largest = log_x.detach().amax(-2, keepdim=True)
    return torch.log(logs.exp() @ torch.exp(log_x - largest)) + largest


def log_tanh_slope(x: Tensor) -> Tensor:
    r"""The log-derivative of tanh, :math:`\log(1 - \tanh^2 x)`, for x of any size.

    Example:
        >>> log_tanh_slope(torch.tensor([0.0, 50.0]))
        tensor([  0.0000, -98.6137])
    """
    size = x.abs()
    return 2 * (math.log(2) - size - torch.log1p(torch.exp(-2 * size)))
