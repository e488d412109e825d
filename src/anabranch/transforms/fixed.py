"""Fixed maps of each number from one interval to another."""

import math
from abc import abstractmethod

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from anabranch.contracts.domain import Domain, Interval
from anabranch.contracts.transform import Transform
from anabranch.functional import log1mexp
from anabranch.functional.numbers import check_positive
from anabranch.functional.shapes import Shape

POSITIVE = Interval(0.0)


class _Fixed(Transform):
    """The same map for each number of an event; a subclass writes it down, with its log-slopes."""

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        z, log_slope = self._forth(x)
        return z, log_slope.flatten(-len(self.event_shape)).sum(-1)

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        x, log_slope = self._back(z)
        return x, log_slope.flatten(-len(self.event_shape)).sum(-1)

    @abstractmethod
    def _forth(self, x: Tensor) -> tuple[Tensor, Tensor]: ...

    @abstractmethod
    def _back(self, z: Tensor) -> tuple[Tensor, Tensor]: ...


class Tanh(_Fixed):
    r"""The hyperbolic tangent, from the line to :math:`(-1, 1)`.

    .. math:: z = \tanh x, \qquad \mathrm{term} = \sum_d \log(1 - \tanh^2 x_d)

    The term is exact where z has long rounded to one. A z of one itself decodes to the largest
    number that precision tells.

    Args:
        event_shape: D, or the shape of an image.

    Example:
        >>> Tanh(1).encode(torch.tensor([[0.5]]))[0]
        tensor([[0.4621]])
    """

    codomain: Domain | None = Interval(-1.0, 1.0)

    def __init__(self, event_shape: int | Shape) -> None:
        super().__init__(event_shape)

    def _forth(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tanh(x), 2 * (math.log(2) - x - softplus(-2 * x))

    def _back(self, z: Tensor) -> tuple[Tensor, Tensor]:
        most = 1 - torch.finfo(z.dtype).eps
        x = torch.atanh(z.clamp(-most, most))
        return x, -self._forth(x)[1]


class LeakyTanh(_Fixed):
    r"""The hyperbolic tangent near zero, and a line farther out than ``knee``.

    .. math:: z = \begin{cases} \tanh x & |x| \le k \\
        \operatorname{sign}(x)\, (\tanh k + (1 - \tanh^2 k) (|x| - k)) & |x| > k\end{cases}

    Args:
        event_shape: D, or the shape of an image.
        knee: k.

    Raises:
        ValueError: for a knee that is not positive.

    Example:
        >>> LeakyTanh(1, knee=1.0).encode(torch.tensor([[3.0]]))[0]
        tensor([[1.6015]])
    """

    def __init__(self, event_shape: int | Shape, *, knee: float = 3.0) -> None:
        super().__init__(event_shape)
        self.knee = knee
        check_positive(self, ("knee",))
        self.height, self.slope = math.tanh(knee), 1 / math.cosh(knee) ** 2

    def _forth(self, x: Tensor) -> tuple[Tensor, Tensor]:
        inner = x.clamp(-self.knee, self.knee)
        log_slope = 2 * (math.log(2) - inner - softplus(-2 * inner))
        return torch.tanh(inner) + (x - inner) * self.slope, log_slope

    def _back(self, z: Tensor) -> tuple[Tensor, Tensor]:
        inner = z.clamp(-self.height, self.height)
        near = torch.atanh(inner).clamp(-self.knee, self.knee)
        log_slope = 2 * (math.log(2) - near - softplus(-2 * near))
        return near + (z - inner) / self.slope, -log_slope


class Softplus(_Fixed):
    r"""From the line to positive numbers, and nearly the identity of large ones.

    .. math:: z = \log(1 + e^x), \qquad \mathrm{term} = \sum_d \log\sigma(x_d)

    Args:
        event_shape: D, or the shape of an image.

    Example:
        >>> Softplus(1).encode(torch.tensor([[0.0]]))[0]
        tensor([[0.6931]])
    """

    codomain: Domain | None = POSITIVE

    def __init__(self, event_shape: int | Shape) -> None:
        super().__init__(event_shape)

    def _forth(self, x: Tensor) -> tuple[Tensor, Tensor]:
        zero = x.new_zeros(())
        return torch.logaddexp(x, zero), -torch.logaddexp(-x, zero)

    def _back(self, z: Tensor) -> tuple[Tensor, Tensor]:
        z = z.clamp_min(torch.finfo(z.dtype).tiny)
        lost = log1mexp(z)  # log(1 - e^-z)
        return z + lost, -lost


class Power(_Fixed):
    r"""A power of positive numbers: :math:`z = x^p`, term :math:`\sum_d \log |p x_d^{p-1}|`.

    Args:
        event_shape: D, or the shape of an image.
        exponent: p, not zero; negative ones turn the order round.

    Raises:
        ValueError: for an exponent of zero, or one that is not finite.

    Example:
        >>> Power(1, 0.5).encode(torch.tensor([[9.0]]))[0]
        tensor([[3.]])
    """

    domain: Domain | None = POSITIVE
    codomain: Domain | None = POSITIVE

    def __init__(self, event_shape: int | Shape, exponent: float) -> None:
        super().__init__(event_shape)
        if not math.isfinite(exponent) or exponent == 0:
            raise ValueError(f"exponent must be a finite number other than zero, got {exponent}")
        self.exponent = exponent

    def _forth(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return _power(x, self.exponent)

    def _back(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return _power(z, 1 / self.exponent)


def _power(x: Tensor, exponent: float) -> tuple[Tensor, Tensor]:
    log_slope = math.log(abs(exponent)) + (exponent - 1) * torch.log(x)
    return x**exponent, log_slope


class SignedScale(_Fixed):
    r"""An affine map whose scale may be negative: :math:`z = a x + b`, term
    :math:`\sum_d \log|a_d|`.

    Fixed; learned scales are positive, as `Affine` has them.

    Args:
        scale: a of each number, (D,) or the shape of an event, none of them zero.
        shift: b, likewise.

    Raises:
        ValueError: for a scale of zero, or numbers that are not finite.

    Example:
        >>> SignedScale(torch.tensor([-2.0]), torch.tensor([1.0])).encode(torch.tensor([[3.0]]))
        (tensor([[-5.]]), tensor([0.6931]))
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Tensor, shift: Tensor | float = 0.0) -> None:
        super().__init__(tuple(scale.shape))
        offset = torch.as_tensor(shift, dtype=scale.dtype).expand(scale.shape).clone()
        if not bool((scale.isfinite() & offset.isfinite() & (scale != 0)).all()):
            raise ValueError("scale and shift must be finite, and no scale zero")
        self.register_buffer("scale", scale.clone())
        self.register_buffer("shift", offset)

    def _forth(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.scale * x + self.shift, self.scale.abs().log().expand(x.shape)

    def _back(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return (z - self.shift) / self.scale, -self.scale.abs().log().expand(z.shape)
