"""Combinators: composition and inverse."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from torch import Tensor, nn

from anabranch.contracts.transform import Transform

T = TypeVar("T")
Step = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]


class Compose(Transform):
    r"""Apply transforms one after another; ``encode`` runs them in the order given.

    .. math:: z = f_L(\dots f_1(x)), \qquad \mathrm{term} = \sum_l \mathrm{term}_l

    Transforms with and without a component axis mix freely: those without one are shared by all
    components, and those that come first are evaluated once for all of them.

    Args:
        transforms: at least one.

    Raises:
        ValueError: where event shapes, batch shapes or context sizes do not fit together.

    Example:
        >>> import torch
        >>> from anabranch.transforms import Reverse
        >>> z, term = Compose([Reverse(3), Reverse(3)]).encode(torch.tensor([[1.0, 2.0, 3.0]]))
        >>> z
        tensor([[1., 2., 3.]])
    """

    def __init__(self, transforms: Iterable[Transform]) -> None:
        transforms = list(transforms)
        if not transforms:
            raise ValueError("Compose needs at least one transform")
        super().__init__(
            _common("event shape", [t.event_shape for t in transforms], ()),
            batch_shape=_common("batch shape", [t.batch_shape for t in transforms], ()),
            context_features=_common("context", [t.context_features for t in transforms], 0),
        )
        self._transforms = nn.ModuleList(transforms)
        self.exact = all(t.exact for t in transforms)
        self.bijective = all(t.bijective for t in transforms)

    @property
    def transforms(self) -> list[Transform]:
        """The parts, in the order of ``encode``."""
        return list(self._transforms)  # pyright: ignore[reportReturnType] - it holds nothing else

    def _encode(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return _run([t._encode for t in self.transforms], x, context)

    def _decode(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return _run([t._decode for t in reversed(self.transforms)], z, context)

    def _initialize(self, x: Tensor, context: Tensor | None) -> None:
        for transform in self.transforms:
            transform._initialize(x, context)
            x, _ = transform._encode(x, context)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return ""


class Inverse(Transform):
    """The same map run the other way: its ``encode`` is the inner ``decode``.

    Args:
        transform: a bijection.

    Raises:
        ValueError: where the transform is not a bijection.

    Example:
        >>> import torch
        >>> from anabranch.transforms import Affine, Autoregressive
        >>> iaf_layer = Inverse(Autoregressive(Affine(), 3))
        >>> iaf_layer.decode(torch.ones(2, 3))[0].shape
        torch.Size([2, 3])
    """

    def __init__(self, transform: Transform) -> None:
        if not (transform.exact and transform.bijective):
            raise ValueError(f"only a bijection has an inverse, got {type(transform).__name__}")
        super().__init__(
            transform.event_shape,
            batch_shape=transform.batch_shape,
            context_features=transform.context_features,
        )
        self.transform = transform

    def _encode(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.transform._decode(x, context)

    def _decode(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.transform._encode(z, context)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return ""


def _run(steps: list[Step], x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    """Apply steps in turn and add up their terms."""
    x, total = steps[0](x, context)
    for step in steps[1:]:
        x, term = step(x, context)
        total = total + term
    return x, total


def _common(name: str, values: list[T], neutral: T) -> T:
    """The one value that is not neutral, if any."""
    given = {value for value in values if value != neutral}
    if len(given) > 1:
        raise ValueError(f"composed transforms must agree in {name}, got {values}")
    return given.pop() if given else neutral
