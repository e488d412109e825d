"""A transformer whose answers for a token see only the tokens before it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, silu

from anabranch.functional import split_parameters
from anabranch.functional.numbers import check_whole
from anabranch.functional.shapes import Shape
from anabranch.networks.linear import Linear
from anabranch.networks.ordered_features import OrderedFeatures

Draw = Callable[[Tensor, slice], Tensor]
Seen = tuple[Tensor, Tensor]  # keys and values of the tokens so far


@dataclass(frozen=True)
class TransformerSizes:
    """How large a transformer of tokens is.

    Attributes:
        token_size: features that make one token.
        width: of a token inside.
        heads: of attention, a divisor of the width.
        blocks: of attention and a network of two layers.

    Raises:
        ValueError: for sizes that are no positive integers, or heads that do not divide the width.

    Example:
        >>> TransformerSizes(width=8).heads
        2
    """

    token_size: int = 1
    width: int = 32
    heads: int = 2
    blocks: int = 2

    def __post_init__(self) -> None:
        check_whole(self, ("token_size", "width", "heads", "blocks"), 1)
        if self.width % self.heads:
            raise ValueError(f"heads must divide the width, got {self.heads} of {self.width}")


class CausalTransformer(OrderedFeatures):
    r"""Attention in the place of a MADE: parameters of each feature from those before it.

    An event is T tokens of P neighbouring features in the order. Token t is answered by what
    attention makes of tokens :math:`< t`, a start token that carries the context, and its place;
    features of one token do not see each other. ``in_turn`` keeps keys and values, so that all
    tokens in turn cost about as much as one pass, in T steps.

    Source: Zhai et al. (2025), "Normalizing flows are capable generative models",
    arXiv:2412.06329; attention: Vaswani et al. (2017), arXiv:1706.03762.

    Args:
        features: D.
        n_params: outputs per feature, parameter-major.
        sizes: of tokens, P, a divisor of D, and of what is inside.
        context_features: size of the context; 0 for none.
        ordering: a permutation of 0..D-1, the places of the features.
        batch_shape: the component axis.
        generator: source of the initial weights; the last layer starts at zero.

    Raises:
        ValueError: for tokens that do not divide D, or an ordering that is no permutation.

    Example:
        >>> net = CausalTransformer(4, 2, TransformerSizes(token_size=2, width=8))
        >>> net(torch.zeros(5, 4)).shape
        torch.Size([5, 8])
    """

    def __init__(
        self,
        features: int,
        n_params: int,
        sizes: TransformerSizes = TransformerSizes(),
        *,
        context_features: int = 0,
        ordering: Sequence[int] | None = None,
        batch_shape: Shape = (),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            features,
            n_params,
            context_features=context_features,
            ordering=ordering,
            batch_shape=batch_shape,
        )
        self.token_size, self.width = sizes.token_size, sizes.width
        self.heads, self.n_blocks = sizes.heads, sizes.blocks
        if features % sizes.token_size:
            raise ValueError(
                f"token_size must divide the features, got {sizes.token_size} of {features}"
            )
        self.features = features
        how = {"batch_shape": batch_shape, "generator": generator}
        width = sizes.width
        self.tokens = features // sizes.token_size
        self.first = Linear(sizes.token_size, width, **how)
        self.start = Linear(context_features, width, **how)
        places_shape = (*batch_shape, 1, self.tokens, width)
        self.places = nn.Parameter(0.1 * torch.randn(places_shape, generator=generator))
        layers = [
            Linear(*pair, **how)
            for _ in range(sizes.blocks)
            for pair in (
                (width, 3 * width),
                (width, width),
                (width, 4 * width),
                (4 * width, width),
            )
        ]
        self.layers = nn.ModuleList(layers)
        self.last = Linear(width, n_params * sizes.token_size, zero=True, **how)

    def columns(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The same on columns: (*batch_shape, D, N) to (*batch_shape, n_params * D, N)."""
        known = self.arranged(x).mT.unflatten(-1, (self.tokens, self.token_size))[..., :-1, :]
        start = self._start(context, known)
        states = torch.cat([start, self._each(self.first, known)], -2) + self.places
        for i in range(self.n_blocks):
            states = self._block(i, states, None)[0]
        answers = self._answers(states).flatten(-2)  # (*batch_shape, N, n_params, D) by place
        return answers.index_select(-1, self.inverse_order).flatten(-2).mT

    def in_turn(self, draw: Draw, like: Tensor, context: Tensor | None = None) -> Tensor:
        r"""Give the features their values token by token, as `MADE.in_turn` does.

        Args:
            draw: from the parameters (n_params, \*batch_shape, P, N) of the features at a slice of
                places to their values (\*batch_shape, P, N).
            like: (\*batch_shape, D, N), gives shape, dtype and device.
            context: columns (\*batch_shape, context_features, N) or (context_features, N).

        Returns:
            The values, columns (\*batch_shape, D, N) in natural order.
        """
        state = self._start(context, like.mT.unsqueeze(-1)[..., :0, :0])
        seen: list[Seen | None] = [None] * self.n_blocks
        values: list[Tensor] = []
        for t in range(self.tokens):
            state = state + self.places[..., t : t + 1, :]
            for i in range(self.n_blocks):
                state, seen[i] = self._block(i, state, seen[i])
            answers = self._answers(state).squeeze(-2)  # (*batch_shape, N, n_params, P)
            params = split_parameters(answers.flatten(-2).mT, self.n_params)
            fresh = draw(params, slice(t * self.token_size, (t + 1) * self.token_size))
            values.append(fresh)
            state = self._each(self.first, fresh.mT.unsqueeze(-2))
        return torch.cat(values, -2).index_select(-2, self.inverse_order)

    def _start(self, context: Tensor | None, like: Tensor) -> Tensor:
        """The token before all others, (*batch_shape, N, 1, width)."""
        rows = like.shape[-3]
        given = (
            like.new_empty(rows, 0)
            if context is None or not self.context_features
            else (context.mT)
        )
        return self.start(given).unsqueeze(-2).expand(*self.batch_shape, rows, 1, self.width)

    def _each(self, layer: Linear, tokens: Tensor) -> Tensor:
        """A layer on each token of (*batch_shape, N, T, in)."""
        return layer(tokens.flatten(-3, -2)).unflatten(-2, tokens.shape[-3:-1])

    def _block(self, i: int, states: Tensor, seen: Seen | None) -> tuple[Tensor, Seen]:
        """Attention to the tokens so far, then a network of each token; both are added."""
        inward, outward, wide, narrow = self.layers[4 * i : 4 * i + 4]
        told = self._each(inward, layer_norm(states, (self.width,)))  # pyright: ignore - a Linear
        told = told.unflatten(-1, (3, self.heads, -1)).movedim(-3, 0).transpose(-3, -2)
        query, key, value = told  # each (*batch_shape, N, heads, T, width / heads)
        if seen is not None:
            key, value = (torch.cat(pair, -2) for pair in zip(seen, (key, value), strict=True))
        scores = query @ key.mT / math.sqrt(query.shape[-1])
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device)
        later = later.triu(1 + key.shape[-2] - query.shape[-2])
        weights = torch.softmax(scores.masked_fill(later, -math.inf), -1)
        found = (weights @ value).transpose(-3, -2).flatten(-2)
        states = states + self._each(outward, found)  # pyright: ignore
        inner = silu(self._each(wide, layer_norm(states, (self.width,))))  # pyright: ignore
        return states + self._each(narrow, inner), (key, value)  # pyright: ignore

    def _answers(self, states: Tensor) -> Tensor:
        """Parameters of the features of each token, (*batch_shape, N, n_params, T, P)."""
        answers = self._each(self.last, layer_norm(states, (self.width,)))
        return answers.unflatten(-1, (self.n_params, self.token_size)).movedim(-2, -3)
