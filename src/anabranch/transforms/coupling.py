"""Coupling: some numbers of an event move, as told by those that stay."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from torch import Generator, Tensor

from anabranch.contracts.context import vector_size
from anabranch.contracts.domain import Circle
from anabranch.contracts.protocols import MakesConditioner
from anabranch.contracts.transform import Pair, Transform
from anabranch.functional import circle_columns, expand_batch, split_parameters
from anabranch.functional.shapes import Shape
from anabranch.networks import MLP
from anabranch.transforms.compose import Compose
from anabranch.transforms.scalar import ScalarMap
from anabranch.transforms.splits import Half, Split

ScalarFunction = Callable[[Tensor, Tensor], Pair]


class Coupling(Transform):
    r"""Split an event in two; move one part by a scalar map whose parameters the other gives.

    .. math:: z_A = x_A, \qquad z_B = f(x_B; \theta(x_A, c))

    One network gives all parameters. It sees :math:`x_A` (of angles, cosine and sine) and the
    context only, so both directions cost one evaluation. For vectors it is an MLP, or what
    ``conditioner`` makes; for images, which stay images inside, it has to be made.

    Args:
        scalar_map: the map.
        event_shape: D, or a shape that holds as many numbers as the split's: rows of pixels are
            split as the images that they are.
        split: which numbers move; by default the second half of D features.
        hidden: hidden sizes of the MLP.
        context_features: size of the context, or its shape where it is no vector; 0 for none.
        activation: activation of the MLP.
        conditioner: makes another network, such as ``partial(ConvNet, channels=64)``.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Raises:
        ValueError: where the split is of another size than the event, or of images without a
            conditioner for them.

    Source: Dinh, Krueger, Bengio (2014), arXiv:1410.8516; (2016), arXiv:1605.08803.

    Example:
        >>> import torch
        >>> from anabranch.transforms import Affine
        >>> transform = Coupling(Affine(), 3, hidden=(8,))
        >>> z, term = transform.encode(torch.ones(5, 3))
        >>> bool((z == 1).all()), term.shape
        (True, torch.Size([5]))
    """

    def __init__(
        self,
        scalar_map: ScalarMap,
        event_shape: int | Shape,
        *,
        split: Split | None = None,
        hidden: Sequence[int] = (64, 64),
        context_features: int | Shape = 0,
        activation: str = "relu",
        conditioner: MakesConditioner | None = None,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__(event_shape, batch_shape=batch_shape, context_shape=context_features)
        self.scalar_map = scalar_map
        self.domain = self.codomain = scalar_map.domain
        self.split = Half(prod(self.event_shape)) if split is None else split
        if prod(self.split.shape) != prod(self.event_shape):
            raise ValueError(f"split is of {self.split.shape}, the event {self.event_shape}")
        depth, *places = self.split.told_shape
        self.circular = self.split.columnar and isinstance(scalar_map.domain, Circle)
        n_kept = prod(self.split.kept_shape) * (1 + self.circular)
        kept_shape = (n_kept,) if self.circular else self.split.kept_shape
        shapes = kept_shape, (scalar_map.n_params * depth, *places)
        if conditioner is not None:
            self.conditioner: Any = conditioner(  # with columns for vectors, called for images
                *shapes,
                context_shape=self.context_shape,
                batch_shape=self.batch_shape,
                generator=generator,
            )
            return
        if not self.split.columnar:
            raise ValueError("a coupling of images needs a conditioner, such as partial(ConvNet)")
        self.conditioner = MLP(
            n_kept,
            scalar_map.n_params * prod(self.split.told_shape),
            hidden,
            context_features=vector_size(self.context_shape),
            activation=activation,
            batch_shape=batch_shape,
            zero_last=True,
            generator=generator,
        )

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self._move(self.scalar_map.encode, x, context)

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self._move(self.scalar_map.decode, z, context)

    def _move(self, scalar: ScalarFunction, x: Tensor, context: Tensor | None) -> Pair:
        """Split the event, move one part as told by the other, and put them together."""
        n_event, split = len(self.event_shape), self.split
        x = expand_batch(x, self.batch_shape, n_event)
        if self.event_shape != split.shape:
            x = x.reshape(*x.shape[: x.ndim - n_event], *split.shape)
        kept, moved = split.split(x.mT if split.columnar else x)
        moved, log_slope = scalar(moved, self._params(kept, context))
        x = split.merge(kept, moved)
        x, term = (x.mT, log_slope.sum(-2)) if split.columnar else (x, log_slope.sum((-3, -2, -1)))
        if self.event_shape != split.shape:
            x = x.reshape(*term.shape, *self.event_shape)
        return x, term

    def _params(self, kept: Tensor, context: Tensor | None) -> Tensor:
        """The parameters of the moved part, (n_params, *moved.shape)."""
        n_params = self.scalar_map.n_params
        if self.split.columnar:
            kept = circle_columns(kept) if self.circular else kept
            columns = self.conditioner.columns(kept, None if context is None else context.mT)
            return split_parameters(columns, n_params)
        answers = self.conditioner(kept, context)
        return self.split.told(answers.unflatten(-3, (n_params, -1)).movedim(-4, 0))


def two_sided_coupling(
    scalar_map: ScalarMap, event_shape: int | Shape, *, split: Split | None = None, **settings: Any
) -> Compose:
    r"""Two couplings that move one part and then the other, so that no number stays.

    .. math:: z_B = f(x_B; \theta(x_A, c)), \qquad z_A = f(x_A; \theta'(z_B, c))

    Args:
        scalar_map: the map of both.
        event_shape: D, at least 2, or the shape of an image.
        split: of the first; the second moves the others.
        settings: further arguments of both, see `Coupling`.

    Raises:
        ValueError: for a split that moves all or none.

    Source: Dinh, Krueger, Bengio (2014), arXiv:1410.8516; as one block: Ardizzone et al. (2018),
    arXiv:1808.04730.

    Example:
        >>> import torch
        >>> from anabranch.transforms import Affine
        >>> two_sided_coupling(Affine(), 3).encode(torch.ones(5, 3))[0].shape
        torch.Size([5, 3])
    """
    first = Coupling(scalar_map, event_shape, split=split, **settings)
    second = first.split.flipped()
    return Compose([first, Coupling(scalar_map, event_shape, split=second, **settings)])
