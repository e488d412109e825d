"""Preprocessing as part of the model, so that log_prob is in the units of the user's data."""

import math
from math import prod

import torch
from torch import Generator, Tensor

from anabranch.contracts.domain import UNIT, Integers, Interval
from anabranch.contracts.transform import Transform
from anabranch.functional.shapes import Shape, as_rows

# spreads, in units of what double precision resolves at a column's size, that are no rounding
RESOLVED = 8.0


class Standardize(Transform):
    r"""Fixed shift and scale: :math:`z = (x - m) / s`, term :math:`-\sum_d \log s_d`.

    ``initialize(x)`` takes m and s from the data; a constant feature keeps s = 1.

    Args:
        features: D.

    Example:
        >>> transform = Standardize(1)
        >>> transform.initialize(torch.tensor([[0.0], [4.0]]))
        (tensor([[-1.],
                [ 1.]]), tensor([-0.6931, -0.6931]))
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, features: int) -> None:
        super().__init__((features,))
        self.register_buffer("loc", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        # Statistics in float64: a feature with a large mean loses its spread in float32.
        rows = x.double().flatten(0, -2)
        loc, scale = rows.mean(0), rows.std(0, correction=0)
        varies = scale > RESOLVED * torch.finfo(torch.float64).eps * rows.abs().amax(0)
        self.set_statistics(loc, torch.where(varies, scale, 1.0))

    @torch.no_grad()
    def set_statistics(self, loc: Tensor, scale: Tensor) -> None:
        """Set m and s, each (D,).

        Raises:
            ValueError: for a scale that is not positive, or numbers that are not finite.
        """
        if not bool((scale > 0).all()):
            raise ValueError(f"scale must be positive, got {scale.tolist()}")
        if not bool((loc.isfinite() & scale.isfinite()).all()):
            raise ValueError(
                f"loc and scale must be finite, got {loc.tolist()} and {scale.tolist()}"
            )
        self.loc.copy_(loc)
        self.scale.copy_(scale)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        return (x - self.loc) / self.scale, -self.scale.log().sum().expand(x.shape[:-1])

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        return z * self.scale + self.loc, self.scale.log().sum().expand(z.shape[:-1])


class Logit(Transform):
    r"""From the unit cube to the whole space.

    .. math:: z = \operatorname{logit}(s), \quad s = \alpha + (1 - 2\alpha) x, \quad
        \mathrm{term} = \sum_d [\log(1 - 2\alpha) - \log s_d - \log(1 - s_d)]

    The margin belongs to the support: s in (0, 1) is a cube wider than the unit cube by
    :math:`\alpha / (1 - 2\alpha)` on each side, and samples may fall there. A point outside has
    density zero: its term is minus infinity, and its z is zero.

    Args:
        features: D.
        alpha: margin that keeps 0 and 1 finite; 0.05 in Real NVP, 1e-6 in MAF for MNIST.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), arXiv:1605.08803, section 4.1.

    Example:
        >>> Logit(1, alpha=0.05).encode(torch.tensor([[0.5], [2.0]]))
        (tensor([[0.],
                [0.]]), tensor([1.2809,   -inf]))
    """

    def __init__(self, features: int, *, alpha: float = 0.05) -> None:
        if not 0 < alpha < 0.5:
            raise ValueError(f"alpha must be in (0, 0.5), got {alpha}")
        super().__init__((features,))
        self.alpha = alpha
        margin = alpha / (1 - 2 * alpha)
        self.domain = Interval(-margin, 1 + margin)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        width = 1 - 2 * self.alpha
        s, rest = self.alpha + width * x, self.alpha + width * (1 - x)  # rest = 1 - s, not rounded
        inside = (s > 0) & (rest > 0)
        log_s, log_rest = torch.where(inside, s, 0.5).log(), torch.where(inside, rest, 0.5).log()
        term = math.log1p(-2 * self.alpha) - log_s - log_rest
        return log_s - log_rest, torch.where(inside, term, -torch.inf).sum(-1)

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        # s (1 - s) from logs is stable
        log_s, log_1_s = torch.nn.functional.logsigmoid(z), torch.nn.functional.logsigmoid(-z)
        x = (torch.sigmoid(z) - self.alpha) / (1 - 2 * self.alpha)
        return x, (log_s + log_1_s - math.log1p(-2 * self.alpha)).sum(-1)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{super().extra_repr()}, alpha={self.alpha}"


class UniformDequantization(Transform):
    r"""Spread integers 0..levels-1 over the unit interval: :math:`z = (x + u)/n,\; u \sim U[0,1)`.

    The term is :math:`-D \log n`, and the density of a model over z, averaged over u, is a lower
    bound of the log-probability of x (Theis et al., 2015, arXiv:1511.01844). ``decode`` is
    :math:`\lfloor n z \rfloor`, kept in 0..levels-1.

    While training u is random, of the generator that ``encode`` is given. In evaluation u is a hash
    of the row's own integers, uniform over data and the same at every call, so that scores and
    predictions are reproducible and do not depend on the batch.

    Args:
        event_shape: D, or the shape of an image.
        levels: n, 256 for bytes.

    Example:
        >>> transform = UniformDequantization(2, levels=4).eval()
        >>> z, term = transform.encode(torch.tensor([[0.0, 3.0]]))
        >>> transform.decode(z)[0], term
        (tensor([[0., 3.]]), tensor([-2.7726]))
    """

    exact = False
    stochastic = True
    codomain = UNIT

    def __init__(self, event_shape: int | Shape, *, levels: int = 256) -> None:
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        super().__init__(event_shape)
        self.levels, self.domain = levels, Integers(levels)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        if self.training:
            u = torch.rand(x.shape, dtype=x.dtype, device=x.device, generator=generator)
        else:
            u = hashed_uniform(as_rows(x, self.event_shape)).reshape(x.shape)
        # Where u rounds up to the next integer, decode would not give x back.
        margin = min(0.5, 2 * self.levels * torch.finfo(x.dtype).eps)
        u = u.clamp(margin, 1 - margin)
        return (x + u) / self.levels, self._term(x)

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        x = (z * self.levels).floor().clamp(0, self.levels - 1)
        return x, -self._term(z)

    def _term(self, x: Tensor) -> Tensor:
        term = -prod(self.event_shape) * math.log(self.levels)
        return x.new_tensor(term).expand(x.shape[: x.ndim - len(self.event_shape)])

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{super().extra_repr()}, levels={self.levels}"


def hashed_uniform(x: Tensor) -> Tensor:
    """Numbers in [0, 1) that are a deterministic function of a row of integers.

    Each entry is hashed with its position and with a hash of its whole row (integer mixing in the
    manner of MurmurHash), so that two pixels of one value get unlike noise.

    Example:
        >>> u = hashed_uniform(torch.zeros(1, 1000))
        >>> bool((u >= 0).all() and (u < 1).all()), round(u.mean().item(), 1)
        (True, 0.5)
    """
    positions = torch.arange(1, x.shape[-1] + 1, device=x.device)
    values = _mix(x.to(torch.int64) * 0x9E3779B1 + positions * 0x85EBCA77)
    row = _mix(values.sum(-1, keepdim=True))
    bits = _mix(values + row) & 0xFFFFFF  # 24 bits are exact in float32
    return bits.to(x.dtype) / 2**24


def _mix(h: Tensor) -> Tensor:
    mask = 0xFFFFFFFF
    h = ((h & mask) ^ ((h & mask) >> 16)) * 0x45D9F3B & mask
    h = (h ^ (h >> 16)) * 0x45D9F3B & mask
    return h ^ (h >> 16)
