"""MADE: a network whose outputs for a feature see only the features that it depends on."""

from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from anabranch.functional import circle_columns, expand_batch, split_parameters
from anabranch.functional.shapes import Shape
from anabranch.networks.dependence import Dependence, turns
from anabranch.networks.linear import Linear, affine_columns
from anabranch.networks.mlp import join_context, make_activation, run_hidden

Draw = Callable[[Tensor, slice], Tensor]
WeightAndBias = tuple[Tensor, Tensor]
Pieces = list[WeightAndBias]


class MADE(nn.Module):
    r"""Masked autoencoder for distribution estimation.

    Each hidden unit belongs to a set of features, the parents of one feature: it sees members of
    its set, directly or through units whose sets lie within its own, and feeds the outputs of the
    features whose parents include the set. In the natural order the sets are
    :math:`\{x_1, \dots, x_m\}`, and m is what the paper calls the degree of the unit. The sets are
    spread evenly over the units of a layer; the context reaches all outputs.

    Source: Germain, Gregor, Murray, Larochelle (2015), arXiv:1502.03509; the graph: Wehenkel,
    Louppe (2021), "Graphical normalizing flows", arXiv:2006.02548.

    Args:
        features: D.
        n_params: outputs per feature, parameter-major: output p of feature d is number p D + d.
        hidden: sizes of the hidden layers.
        context_features: size of the context; 0 for none.
        ordering: a permutation of 0..D-1, the places of the features; natural order by default.
        passes: groups of features that are given their values together, 1..D; D by default.
        adjacency: (D, D), true where feature d (row) depends on feature j (column); instead of
            ordering and passes.
        direct: whether outputs see their parents also without a hidden unit between.
        circular: whether the features are angles; the network sees their cosines and sines.
        activation: name of the activation.
        batch_shape: the component axis.
        generator: source of the initial weights; the last layer starts at zero.

    Raises:
        ValueError: where ordering is not a permutation of 0..D-1, passes is not in 1..D, adjacency
            has a cycle or comes with an order, or hidden layers are too narrow for it.

    Example:
        >>> net = MADE(3, 2, hidden=(16,))
        >>> net(torch.zeros(5, 3)).shape
        torch.Size([5, 6])
    """

    order: Tensor | None
    inverse_order: Tensor | None
    rows: Tensor

    def __init__(
        self,
        features: int,
        n_params: int,
        hidden: Sequence[int] = (64, 64),
        *,
        context_features: int = 0,
        ordering: Sequence[int] | None = None,
        passes: int | None = None,
        adjacency: Sequence[Sequence[bool]] | None = None,
        direct: bool = False,
        circular: bool = False,
        activation: str = "relu",
        batch_shape: Shape = (),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        graph = _graph(features, ordering, passes, adjacency)
        self.n_params = n_params
        self.ordered = adjacency is None
        self.context_features = context_features
        self.inputs_each = 1 + circular
        self.activation = make_activation(activation)
        # Without a context, units of the empty set would see nothing at all.
        sets = graph.parent_sets(empty=context_features > 0)
        given = torch.zeros(context_features, features, dtype=torch.bool)
        own = torch.eye(features, dtype=torch.bool).repeat_interleave(self.inputs_each, 0)
        sources = torch.cat((own, given))
        levels = []
        self.hidden = nn.ModuleList()
        for size in hidden:
            units = sets[torch.arange(size) * len(sets) // max(size, 1)]
            self.hidden.append(_masked(_within(sources, units), batch_shape, generator))
            levels.append(graph.levels_of(units))
            sources = units

        def outputs(mask: Tensor) -> Linear:
            mask = mask.repeat(n_params, 1)
            return _masked(mask, batch_shape, generator, repeats=n_params, zero=True)

        self.last = outputs(_within(sources, graph.parents))
        seen = graph.parents.repeat_interleave(self.inputs_each, 1)
        self.direct = outputs(seen) if direct else None
        if adjacency is not None and not direct:
            _check_width(graph, [*self.hidden, self.last], own)  # pyright: ignore
        order = graph.levels.argsort(stable=True)
        self.turns = turns(graph.levels[order], levels, each_level=direct or not hidden)
        natural = torch.equal(order, torch.arange(features))
        self.register_buffer("order", None if natural else order, False)
        self.register_buffer("inverse_order", None if natural else order.argsort(), False)
        rows = torch.arange(n_params * features).view(n_params, features)[:, order]
        self.register_buffer(
            "rows", torch.cat([rows[:, turn.places].flatten() for turn in self.turns]), False
        )

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map (*batch_shape, N, D) to (*batch_shape, N, n_params * D)."""
        x = expand_batch(x, self.last.batch_shape, 1)
        return self.columns(x.mT, None if context is None else context.mT).mT

    def columns(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The same on columns: (*batch_shape, D, N) to (*batch_shape, n_params * D, N)."""
        x = self._seen(x)
        columns = join_context(x, context, self.context_features)
        out = self.last.columns(run_hidden(self.hidden, self.activation, columns))
        return out if self.direct is None else out + self.direct.columns(x)

    def arranged(self, columns: Tensor) -> Tensor:
        """Columns (*batch_shape, D, N) in the order in which they take their turns."""
        return columns if self.order is None else columns.index_select(-2, self.order)

    def in_turn(self, draw: Draw, like: Tensor, context: Tensor | None = None) -> Tensor:
        r"""Give the features their values one group after the other.

        What each turn has computed of the hidden units stays, so that all turns together cost
        about as much as one pass, in as many steps as the hidden units have levels.

        Args:
            draw: from the parameters (n_params, \*batch_shape, d, N) of the features at a slice of
                places (see ``arranged``) to their values (\*batch_shape, d, N).
            like: (\*batch_shape, D, N), gives shape, dtype and device.
            context: columns (\*batch_shape, context_features, N) or (context_features, N).

        Returns:
            The values, columns (\*batch_shape, D, N) in natural order.
        """
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            x = self._run(draw, like, context)
        else:
            # Many small steps take a fifth less time where torch tracks neither views nor versions.
            with torch.inference_mode():
                x = self._run(draw, like, context)
            x = x.clone()  # a plain tensor again
        return x if self.inverse_order is None else x.index_select(-2, self.inverse_order)

    def _run(self, draw: Draw, like: Tensor, context: Tensor | None) -> Tensor:
        """The values by place."""
        hidden, last, direct = self._pieces(context)
        activation = self.activation.forward  # the call of a module would cost more than it does
        values = Growing(like, [_size(turn.places) for turn in self.turns])
        states = [Growing(like, sizes) for sizes in self._sizes()]
        for t, turn in enumerate(self.turns):
            known = sources = self._seen(values.columns)
            for pieces, state in zip(hidden, states, strict=True):
                state.append(activation(affine_columns(*pieces[t], known)))
                known = state.columns
            params = affine_columns(*last[t], known)
            if direct is not None:
                params = params + affine_columns(*direct[t], sources)
            values.append(draw(split_parameters(params, self.n_params), turn.places))
        return values.columns

    def _seen(self, columns: Tensor) -> Tensor:
        """What the network sees of the features."""
        return columns if self.inputs_each == 1 else circle_columns(columns)

    @property
    def _hidden(self) -> list[Linear]:
        return list(self.hidden)  # pyright: ignore[reportReturnType] - it holds nothing else

    def _pieces(self, context: Tensor | None) -> tuple[list[Pieces], Pieces, Pieces | None]:
        """Of each layer the part that each turn computes, from what is known by then."""
        layers = [self._weights(layer) for layer in (*self._hidden, self.last)]
        layers[0] = self._inputs(layers[0], context)
        layers[-1] = self._outputs(layers[-1])
        sources = known = [self.inputs_each * turn.places.start for turn in self.turns]
        pieces = []
        for layer, sizes in zip(layers, self._sizes(), strict=False):
            pieces.append(_split(layer, sizes, known))
            known = list(accumulate(sizes))
        sizes = [_size(turn.places) * self.n_params for turn in self.turns]
        last = _split(layers[-1], sizes, known)
        if self.direct is None:
            return pieces, last, None
        direct = self._outputs(self._inputs(self._weights(self.direct), None))
        return pieces, last, _split(direct, sizes, sources)

    def _sizes(self) -> list[list[int]]:
        """Of each hidden layer, how many units take each turn."""
        return [[_size(turn.units[i]) for turn in self.turns] for i in range(len(self.hidden))]

    def _weights(self, layer: Linear) -> WeightAndBias:
        # In an order the mask cuts just what no turn reads.
        return (layer.weight if self.ordered else layer.masked_weight()), layer.bias

    def _inputs(self, layer: WeightAndBias, context: Tensor | None) -> WeightAndBias:
        """Inputs by place, and the share of the context in the bias."""
        weight, bias = layer
        n_inputs = weight.shape[-1] - (0 if context is None else self.context_features)
        if self.context_features and context is not None:
            bias = affine_columns(weight[..., n_inputs:], bias, context)
            weight = weight[..., :n_inputs]
        if self.order is not None:
            pairs = weight.unflatten(-1, (-1, self.inputs_each)).index_select(-2, self.order)
            weight = pairs.flatten(-2)
        return weight, bias

    def _outputs(self, layer: WeightAndBias) -> WeightAndBias:
        """Rows in the order of the turns, so that those of one turn lie together."""
        weight, bias = layer
        return weight.index_select(-2, self.rows), bias.index_select(-2, self.rows)


class Growing:
    """Columns (*batch_shape, n, N) that come piece by piece.

    Without gradients they are written in place; with them each state is a tensor of its own.

    Args:
        like: gives batch_shape, N, dtype and device.
        sizes: rows of each piece.

    Attributes:
        columns: what has come so far.
    """

    def __init__(self, like: Tensor, sizes: Sequence[int]) -> None:
        self.columns = like.narrow(-2, 0, 0)
        self._memory: Tensor | None = None
        if not torch.is_grad_enabled():
            self._memory = like.new_empty(*like.shape[:-2], sum(sizes), like.shape[-1])
            self._places = self._memory.split(list(sizes), dim=-2)
        self._pieces, self._filled = 0, 0

    def append(self, piece: Tensor) -> None:
        """Add rows behind those that are there."""
        if self._memory is None:
            self.columns = torch.cat((self.columns, piece), dim=-2)
            return
        place = self._places[self._pieces]
        place.copy_(piece)
        self._pieces += 1
        self._filled += place.shape[-2]
        self.columns = self._memory.narrow(-2, 0, self._filled)


def _size(part: slice) -> int:
    return part.stop - part.start


def _split(layer: WeightAndBias, sizes: list[int], inputs: list[int]) -> Pieces:
    """Rows of a layer by turn, each with the inputs that are known by then."""
    weights, biases = (rows.split(sizes, dim=-2) for rows in layer)
    return [
        (weight.narrow(-1, 0, seen), bias)
        for weight, bias, seen in zip(weights, biases, inputs, strict=True)
    ]


def _graph(
    features: int,
    ordering: Sequence[int] | None,
    passes: int | None,
    adjacency: Sequence[Sequence[bool]] | None,
) -> Dependence:
    if adjacency is None:
        return Dependence.ordered(features, ordering, passes)
    if ordering is not None or passes is not None:
        raise ValueError("adjacency takes the place of ordering and passes: give one or the other")
    graph = Dependence.from_adjacency(adjacency)
    if len(graph.levels) != features:
        raise ValueError(
            f"adjacency must have shape ({features}, {features}), got {tuple(graph.parents.shape)}"
        )
    return graph


def _within(inner: Tensor, outer: Tensor) -> Tensor:
    """Which of the sets (I, D) lie within which of the others (O, D), as (O, I)."""
    return (inner.float() @ (~outer).float().mT == 0).mT


def _check_width(graph: Dependence, layers: Sequence[Linear], inputs: Tensor) -> None:
    """Too few units for the sets of parents would silently cut connections of the graph."""
    context = layers[0].in_features - len(inputs)
    reach, features = pad(inputs.float().mT, (0, context)), inputs.shape[1]
    for layer in layers:
        assert layer.mask is not None
        reach = reach @ layer.mask.mT
    lost = graph.parents & ~(reach[:, :features] > 0).mT
    if bool(lost.any()):
        needed = len(graph.parent_sets(empty=False))
        d, j = lost.nonzero()[0].tolist()
        raise ValueError(
            f"hidden layers are too narrow: feature {d} would not see feature {j}; "
            f"{needed} units a layer are enough"
        )


def _masked(
    mask: Tensor,
    batch_shape: Shape,
    generator: torch.Generator | None,
    *,
    repeats: int = 1,
    zero: bool = False,
) -> Linear:
    return Linear(
        mask.shape[1],
        mask.shape[0],
        batch_shape=batch_shape,
        mask=mask,
        repeats=repeats,
        zero=zero,
        generator=generator,
    )
