"""Coupling: some features move, as told by those that stay."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from anabranch.contracts.transform import Transform
from anabranch.functional import expand_batch, split_parameters
from anabranch.functional.shapes import Shape
from anabranch.networks import MLP
from anabranch.transforms.compose import Compose
from anabranch.transforms.scalar import ScalarMap

Pair = tuple[Tensor, Tensor]
ScalarFunction = Callable[[Tensor, Tensor], Pair]


class Coupling(Transform):
    r"""Split the features in two; move one part by a scalar map whose parameters the other gives.

    .. math:: z_A = x_A, \qquad z_B = f(x_B; \theta(x_A, c))

    One network gives all parameters. It sees :math:`x_A` and the context only, so both directions
    cost one evaluation. It is an MLP, or what ``conditioner`` makes: a function that is called
    with the keywords ``kept`` and ``moved`` (the numbers of the features of either part, in order),
    ``n_params``, ``context_features``, ``batch_shape`` and ``generator``, and returns a module
    whose ``columns(x, context)`` maps (\*batch_shape, len(kept), N) to
    (\*batch_shape, n_params len(moved), N), parameter-major, and which starts at zero.

    Args:
        scalar_map: the map.
        features: D.
        mask: True for each feature that moves, or how many features stay, the first ones; by
            default half of them. A mask that is one contiguous run at either end costs no gather.
        hidden: hidden sizes of the MLP.
        context_features: size of the context; 0 for none.
        activation: activation of the MLP.
        conditioner: makes another network, such as ``partial(ConvNet, image_shape)``.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Raises:
        ValueError: where the mask has another length than D, or moves nothing.

    Source: Dinh, Krueger, Bengio (2014), arXiv:1410.8516; (2016), arXiv:1605.08803.

    Example:
        >>> from anabranch.transforms import Affine
        >>> transform = Coupling(Affine(), 3, hidden=(8,))
        >>> z, term = transform.encode(torch.ones(5, 3))
        >>> bool((z == 1).all()), term.shape
        (True, torch.Size([5]))
    """

    shared_buffers = ("order", "inverse_order")
    order: Tensor | None
    inverse_order: Tensor | None

    def __init__(
        self,
        scalar_map: ScalarMap,
        features: int,
        *,
        mask: Sequence[bool] | int | None = None,
        hidden: Sequence[int] = (64, 64),
        context_features: int = 0,
        activation: str = "relu",
        conditioner: Callable[..., Any] | None = None,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape, context_shape=context_features)
        moves = _mask(features, mask)
        self.scalar_map = scalar_map
        self.n_moved = int(moves.sum())
        self.n_kept = features - self.n_moved
        self.moved_first = bool(moves[: self.n_moved].all()) and self.n_kept > 0
        order = torch.argsort(moves.to(torch.int8), stable=True)  # kept features, then moved ones
        contiguous = self.moved_first or bool(moves[self.n_kept :].all())
        self.register_buffer("order", None if contiguous else order, False)
        self.register_buffer("inverse_order", None if contiguous else order.argsort(), False)
        if conditioner is not None:
            self.conditioner = conditioner(
                kept=order[: self.n_kept].tolist(),
                moved=order[self.n_kept :].tolist(),
                n_params=scalar_map.n_params,
                context_features=context_features,
                batch_shape=batch_shape,
                generator=generator,
            )
            return
        self.conditioner = MLP(
            self.n_kept,
            scalar_map.n_params * self.n_moved,
            hidden,
            context_features=context_features,
            activation=activation,
            batch_shape=batch_shape,
            zero_last=True,
            generator=generator,
        )

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        return self._move(self.scalar_map.encode, x, context)

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        return self._move(self.scalar_map.decode, z, context)

    def _move(self, scalar: ScalarFunction, x: Tensor, context: Tensor | None) -> Pair:
        """Split the columns, move one part as told by the other, and put them together."""
        kept, moved = self._split(expand_batch(x, self.batch_shape, 1).mT)
        columns = self.conditioner.columns(kept, None if context is None else context.mT)
        moved, log_slope = scalar(moved, split_parameters(columns, self.scalar_map.n_params))
        return self._merge(kept, moved).mT, log_slope.sum(-2)

    def _split(self, columns: Tensor) -> Pair:
        if self.order is not None:
            columns = columns.index_select(-2, self.order)
        if self.moved_first:
            return columns[..., self.n_moved :, :], columns[..., : self.n_moved, :]
        return columns[..., : self.n_kept, :], columns[..., self.n_kept :, :]

    def _merge(self, kept: Tensor, moved: Tensor) -> Tensor:
        columns = torch.cat((moved, kept) if self.moved_first else (kept, moved), dim=-2)
        if self.inverse_order is not None:
            columns = columns.index_select(-2, self.inverse_order)
        return columns


def two_sided_coupling(
    scalar_map: ScalarMap,
    features: int,
    *,
    mask: Sequence[bool] | int | None = None,
    **settings: Any,
) -> Compose:
    r"""Two couplings that move one part and then the other, so that no feature stays.

    .. math:: z_B = f(x_B; \theta(x_A, c)), \qquad z_A = f(x_A; \theta'(z_B, c))

    Args:
        scalar_map: the map of both.
        features: D, at least 2.
        mask: of the first; the second moves the others.
        settings: further arguments of both, see `Coupling`.

    Raises:
        ValueError: for a mask that moves all features or none.

    Source: Dinh, Krueger, Bengio (2014), arXiv:1410.8516; as one block: Ardizzone et al. (2018),
    arXiv:1808.04730.

    Example:
        >>> from anabranch.transforms import Affine
        >>> two_sided_coupling(Affine(), 3).encode(torch.ones(5, 3))[0].shape
        torch.Size([5, 3])
    """
    moves = _mask(features, mask)
    if bool(moves.all()):
        raise ValueError("mask moves all features: there is no other side")
    sides = (moves.tolist(), (~moves).tolist())
    return Compose([Coupling(scalar_map, features, mask=side, **settings) for side in sides])


def _mask(features: int, mask: Sequence[bool] | int | None) -> Tensor:
    kept = features // 2 if mask is None else mask
    if isinstance(kept, int):
        kept = [d >= kept for d in range(features)]
    moves = torch.as_tensor(list(kept), dtype=torch.bool)
    if len(moves) != features or not moves.any():
        raise ValueError(
            f"mask must have {features} entries and move at least one, got {moves.tolist()}"
        )
    return moves
