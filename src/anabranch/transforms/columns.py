"""Transforms of some columns, or of blocks of them, side by side."""

from collections.abc import Iterable, Sequence

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.domain import REAL, Blocks, Domain
from anabranch.contracts.transform import Pair, Step, Transform


class Concatenate(Transform):
    r"""Transforms of consecutive blocks of a vector, each of its own.

    .. math:: z = (f_1(x_1), \dots, f_m(x_m)), \qquad \mathrm{term} = \sum_i \mathrm{term}_i

    Args:
        parts: transforms of vectors, at least one.

    Raises:
        ValueError: for no part, one that is not of vectors, or parts that differ in batch shape or
            context.

    Example:
        >>> from anabranch.transforms import Reverse, Tanh
        >>> both = Concatenate([Reverse(2), Tanh(1)])
        >>> both.encode(torch.tensor([[1.0, 2.0, 0.0]]))[0]
        tensor([[2., 1., 0.]])
    """

    def __init__(self, parts: Iterable[Transform]) -> None:
        parts = list(parts)
        if not parts:
            raise ValueError("Concatenate needs at least one part")
        for part in parts:
            if len(part.event_shape) != 1 or len(part.latent_shape) != 1:
                raise ValueError(
                    f"Concatenate: parts are of vectors, got one of {part.event_shape}"
                )
        batches = {part.batch_shape for part in parts} - {()}
        contexts = {part.context_shape for part in parts} - {()}
        for name, found in (("batch_shape", batches), ("context", contexts)):
            if len(found) > 1:
                raise ValueError(f"Concatenate: parts differ in {name}, got {sorted(found)}")
        self.sizes = [part.event_shape[0] for part in parts]
        self.latent_sizes = [part.latent_shape[0] for part in parts]
        super().__init__(
            sum(self.sizes),
            sum(self.latent_sizes),
            batch_shape=next(iter(batches), ()),
            context_shape=next(iter(contexts), ()),
        )
        self._parts = nn.ModuleList(parts)
        self.domain = _beside([part.domain for part in parts], self.sizes)
        self.codomain = _beside([part.codomain for part in parts], self.latent_sizes)
        self.exact = all(part.exact for part in parts)
        self.stochastic = any(part.stochastic for part in parts)
        self.bijective = all(part.bijective for part in parts)

    @property
    def parts(self) -> list[Transform]:
        """The transforms, in the order of their blocks."""
        return list(self._parts)  # pyright: ignore[reportReturnType] - it holds nothing else

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        blocks = zip(self.parts, x.split(self.sizes, -1), strict=True)
        return _joined([part._encode(block, context, generator) for part, block in blocks])

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        blocks = zip(self.parts, z.split(self.latent_sizes, -1), strict=True)
        return _joined([part._decode(block, context, generator) for part, block in blocks])

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        for part, block in zip(self.parts, x.split(self.sizes, -1), strict=True):
            part._initialize(block, context, generator)


class Columns(Transform):
    r"""A transform of some columns of a vector; the others stay.

    Args:
        transform: of vectors of as many numbers as there are columns, that keeps their number.
        columns: which ones it is of, in its order.
        features: D.

    Raises:
        ValueError: for columns that are not different numbers in 0..D-1, or other than the
            transform takes.

    Example:
        >>> from anabranch.transforms import Reverse
        >>> Columns(Reverse(2), [0, 2], 3).encode(torch.tensor([[1.0, 2.0, 3.0]]))
        (tensor([[3., 2., 1.]]), tensor([0.]))
    """

    shared_buffers = ("order", "back")
    order: Tensor
    back: Tensor

    def __init__(self, transform: Transform, columns: Sequence[int], features: int) -> None:
        chosen = [int(column) for column in columns]
        if len(set(chosen)) != len(chosen) or not set(chosen) <= set(range(features)):
            raise ValueError(
                f"columns must be different numbers in 0..{features - 1}, got {list(columns)}"
            )
        size = (len(chosen),)
        if transform.event_shape != size or transform.latent_shape != size:
            raise ValueError(
                f"the transform takes {transform.event_shape} and gives {transform.latent_shape}, "
                f"for {len(chosen)} columns"
            )
        super().__init__(
            features, batch_shape=transform.batch_shape, context_shape=transform.context_shape
        )
        order = chosen + [d for d in range(features) if d not in chosen]
        self.size = len(chosen)
        self.register_buffer("order", torch.tensor(order), False)
        self.register_buffer("back", torch.tensor(order).argsort(), False)
        self.transform = transform
        self.domain, self.codomain = transform.domain, transform.codomain
        self.exact, self.stochastic = transform.exact, transform.stochastic
        self.bijective = transform.bijective

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        return self._run(self.transform._encode, x, context, generator)

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        return self._run(self.transform._decode, z, context, generator)

    def _run(
        self, step: Step, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> Pair:
        arranged = x.index_select(-1, self.order)
        moved, rest = arranged.split([self.size, arranged.shape[-1] - self.size], -1)
        y, term = step(moved, context, generator)
        y = torch.cat([y, rest.expand(*y.shape[:-1], -1)], -1)
        return y.index_select(-1, self.back), term

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        self.transform._initialize(x.index_select(-1, self.order[: self.size]), context, generator)


def _joined(results: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Blocks side by side, spread over the components that any of them has."""
    lead = torch.broadcast_shapes(*(term.shape for _, term in results))
    blocks = [y.expand(*lead, y.shape[-1]) for y, _ in results]
    return torch.cat(blocks, -1), sum((term for _, term in results[1:]), results[0][1])


def _beside(domains: list[Domain | None], sizes: list[int]) -> Domain | None:
    """The domain of a vector of blocks."""
    known = [REAL if domain is None else domain for domain in domains]
    if all(domain is None for domain in domains):
        return None
    return known[0] if len(set(known)) == 1 else Blocks(tuple(known), tuple(sizes))
