"""The stacked linear layer, on which every network here rests."""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from anabranch.functional.shapes import Shape, expand_batch

# Entries of a masked weight below which cutting it into blocks costs more than it saves.
BLOCK_SIZE = 2**14
# Entries of a result above which copying the bias to all of them, as addmm does first, is slower
# than adding it where they are.
LARGE_OUTPUT = 2**19


class Block(NamedTuple):
    """Neighbouring rows of a mask, and the range of columns outside which they are zero."""

    rows: int
    column: int
    columns: int


class Linear(nn.Module):
    r"""K independent linear maps in one matrix product.

    .. math:: y_k = x_k W_k^\top + b_k

    Args:
        in_features: size of the input; 0 is allowed and leaves the bias alone.
        out_features: size of the output.
        batch_shape: the component axis; () for one map.
        mask: (out_features, in_features) of zeros and ones that cuts connections.
        repeats: the mask is as many equal parts on top of each other.
        zero: start at the zero map, as the last layer of every conditioner does.
        generator: source of the initial weights, uniform within ±1/sqrt(in_features).

    Shapes:
        x: (N, in) or (*batch_shape, N, in), giving (*batch_shape, N, out). Without batch_shape any
        leading dimensions.

    Example:
        >>> layer = Linear(3, 4, batch_shape=(5,))
        >>> layer(torch.zeros(7, 3)).shape
        torch.Size([5, 7, 4])
    """

    shared_buffers = ("mask",)  # one mask serves all components
    mask: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        batch_shape: Shape = (),
        mask: Tensor | None = None,
        repeats: int = 1,
        zero: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.batch_shape = tuple(batch_shape)
        limit = 0.0 if zero or in_features == 0 else 1.0 / math.sqrt(in_features)
        weight = torch.empty(*batch_shape, out_features, in_features)
        bias = torch.empty(*batch_shape, out_features, 1)
        self.weight = nn.Parameter(weight.uniform_(-limit, limit, generator=generator))
        self.bias = nn.Parameter(bias.uniform_(-limit, limit, generator=generator))
        # float, not bool: a product with the weight is then one kernel.
        self.register_buffer("mask", None if mask is None else mask.to(weight.dtype), False)
        self.repeats = repeats
        self.blocks = [] if mask is None else find_blocks(mask[: out_features // repeats], repeats)

    def forward(self, x: Tensor) -> Tensor:
        """Map (*batch_shape, N, in_features) to (*batch_shape, N, out_features)."""
        return self.columns(expand_batch(x, self.batch_shape, 1).mT).mT

    def columns(self, x: Tensor) -> Tensor:
        """The same on columns, (*batch_shape, in_features, N) to (*batch_shape, out, N)."""
        if not self.blocks:
            return affine_columns(self.masked_weight(), self.bias, x)
        assert self.mask is not None
        sizes = [block.rows for block in self.blocks]
        weights, biases, masks = (
            rows.unflatten(-2, (self.repeats, -1)).split(sizes, dim=-2)
            for rows in (self.weight, self.bias, self.mask)
        )
        parts = []
        for block, weight, bias, mask in zip(self.blocks, weights, biases, masks, strict=True):
            seen = block.column, block.columns
            weight = (weight.narrow(-1, *seen) * mask.narrow(-1, *seen)).flatten(-3, -2)
            part = affine_columns(weight, bias.flatten(-3, -2), x.narrow(-2, *seen))
            parts.append(part.unflatten(-2, (self.repeats, -1)))
        return torch.cat(parts, dim=-2).flatten(-3, -2)

    def masked_weight(self) -> Tensor:
        """The weight without the connections that the mask cuts."""
        return self.weight if self.mask is None else self.weight * self.mask

    def extra_repr(self) -> str:
        """What repr shows of it."""
        stack = f", batch_shape={self.batch_shape}" if self.batch_shape else ""
        return f"{self.in_features}, {self.out_features}{stack}"


def affine_columns(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    r"""The map :math:`W x + b` of columns, in one kernel where the shapes allow.

    Args:
        weight: (\*batch, out, in).
        bias: (\*batch, out, 1) or (\*batch, out, N).
        x: (\*batch, in, N).

    Example:
        >>> affine_columns(torch.ones(1, 2), torch.zeros(1, 1), torch.ones(2, 3))
        tensor([[2., 2., 2.]])
    """
    if weight.ndim == x.ndim == 3:
        return torch.baddbmm(bias, weight, x)
    if weight.ndim == x.ndim == 2 and bias.ndim == 2:
        # an exported program has one way for batches of all sizes
        if not torch.compiler.is_exporting() and weight.shape[0] * x.shape[1] >= LARGE_OUTPUT:
            return torch.mm(weight, x).add_(bias)
        return torch.addmm(bias, weight, x)
    return weight @ x + bias


def find_blocks(mask: Tensor, repeats: int = 1) -> list[Block]:
    """Cut a large staircase of ones into a few blocks of rows, so that its zeros cost nothing.

    Args:
        mask: (rows, columns).
        repeats: how often it comes.

    Returns:
        Blocks of neighbouring rows that cover all of them, or none where they would not pay.

    Example:
        >>> [tuple(block) for block in find_blocks(torch.ones(256, 256).tril())]
        [(128, 0, 128), (128, 0, 256)]
    """
    count = min(4, int((repeats * mask.numel() / BLOCK_SIZE) ** 0.5))
    if count < 2:
        return []
    blocks = []
    for start, stop in pairwise(round(i * len(mask) / count) for i in range(count + 1)):
        seen = mask[start:stop].any(0).nonzero()
        first, last = (int(seen[0]), int(seen[-1]) + 1) if len(seen) else (0, 0)
        blocks.append(Block(stop - start, first, last - first))
    area = sum(block.rows * block.columns for block in blocks)
    return blocks if area < 0.85 * mask.numel() else []
