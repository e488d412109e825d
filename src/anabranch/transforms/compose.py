"""Combinators: composition and inverse."""

from collections.abc import Iterable
from itertools import pairwise
from typing import TypeVar

from torch import Generator, Tensor, nn

from anabranch.contracts.domain import Domain, Product
from anabranch.contracts.transform import Pair, Step, Transform

T = TypeVar("T")


class Compose(Transform):
    r"""Apply transforms one after another; ``encode`` runs them in the order given.

    .. math:: z = f_L(\dots f_1(x)), \qquad \mathrm{term} = \sum_l \mathrm{term}_l

    Transforms with and without a component axis mix freely: those without one are shared by all
    components, and those that come first are evaluated once for all of them.

    Args:
        transforms: at least one; what one gives is what the next one takes.

    Raises:
        ValueError: where shapes, domains, batch shapes or contexts do not fit together.

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
        _check_shapes(transforms)
        super().__init__(
            transforms[0].event_shape,
            transforms[-1].latent_shape,
            batch_shape=_common("batch shape", [t.batch_shape for t in transforms], ()),
            context_shape=_common("context", [t.context_shape for t in transforms], ()),
        )
        self.domain, self.codomain = _domains(transforms)
        self._transforms = nn.ModuleList(transforms)
        self.exact = all(t.exact for t in transforms)
        self.stochastic = any(t.stochastic for t in transforms)
        self.bijective = all(t.bijective for t in transforms)

    @property
    def transforms(self) -> list[Transform]:
        """The parts, in the order of ``encode``."""
        return list(self._transforms)  # pyright: ignore[reportReturnType] - it holds nothing else

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return _run([t._encode for t in self.transforms], x, context, generator)

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return _run([t._decode for t in reversed(self.transforms)], z, context, generator)

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        for transform in self.transforms:
            transform._initialize(x, context, generator)
            x, _ = transform._encode(x, context, generator)

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
            transform.latent_shape,
            transform.event_shape,
            batch_shape=transform.batch_shape,
            context_shape=transform.context_shape,
        )
        self.domain, self.codomain = transform.codomain, transform.domain
        self.transform = transform

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self.transform._decode(x, context, generator)

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self.transform._encode(z, context, generator)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return ""


def _run(steps: list[Step], x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
    """Apply steps in turn and add up their terms."""
    x, total = steps[0](x, context, generator)
    for step in steps[1:]:
        x, term = step(x, context, generator)
        total = total + term
    return x, total


def _common(name: str, values: list[T], neutral: T) -> T:
    """The one value that is not neutral, if any."""
    given = {value for value in values if value != neutral}
    if len(given) > 1:
        raise ValueError(f"composed transforms must agree in {name}, got {values}")
    return given.pop() if given else neutral


def _check_shapes(transforms: list[Transform]) -> None:
    for number, (one, after) in enumerate(pairwise(transforms), 1):
        if one.latent_shape != after.event_shape:
            raise ValueError(
                f"Compose: part {number} gives {one.latent_shape}, "
                f"part {number + 1} takes {after.event_shape}"
            )


def _domains(transforms: list[Transform]) -> tuple[Domain | None, Domain | None]:
    """Domain and codomain of the whole; what takes points of any domain passes theirs on."""
    domain, current, giver = None, None, 0
    for number, transform in enumerate(transforms, 1):
        if transform.domain is None:
            if isinstance(current, Product):
                raise ValueError(
                    f"Compose: part {giver} gives {current}, "
                    f"part {number} takes points that are alike in all places"
                )
            continue
        if current is not None and not current.within(transform.domain):
            raise ValueError(
                f"Compose: part {giver} gives points of {current}, "
                f"part {number} takes points of {transform.domain}"
            )
        domain = transform.domain if domain is None else domain
        current, giver = transform.codomain, number
    return domain, current
