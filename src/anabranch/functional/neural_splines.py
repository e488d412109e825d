"""Rational-quadratic splines from unconstrained numbers, in few passes over memory.

A layer of a spline flow has some twenty numbers for each value it moves, and what they go through
is most of its cost beside the network. Here each is read a few times only: one softmax, running
sums, and a gather of the three bins around the value; all else works on what was gathered. The
derivatives are written out, which spares the many large buffers that autograd would fill. Second
derivatives take the plain way, through `spline_knots` and `rational_quadratic`.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from anabranch.functional.modes import traced
from anabranch.functional.splines import (
    rational_quadratic,
    rational_quadratic_inverse,
    segment,
    segment_root,
)

Pair = tuple[Tensor, Tensor]


class SplineLaw(NamedTuple):
    """How unconstrained numbers become a spline on [-bound, bound].

    Attributes:
        bins: K.
        bound: half the side of the box.
        min_width: smallest width of a bin, as a share of the box.
        min_height: smallest height of a bin, as a share of the box.
        ratio: the slope at a knot stays within this factor of the harmonic mean of the secants
            beside it, and so within twice this factor of the flatter one.
        ends: slopes at the ends: "linear" for one, with the identity outside, "free" for slopes of
            their own, "linear-below" or "linear-above" for one at this end and a free one at the
            other, or "periodic" for one slope of both, as of a circle cut open.
    """

    bins: int
    bound: float
    min_width: float
    min_height: float
    ratio: float
    ends: str

    @property
    def free(self) -> bool:
        """Whether the slopes at the ends are not both given."""
        return self.ends != "linear"

    @property
    def fixed(self) -> tuple[bool, bool]:
        """Whether the slope is one at the lower end, and at the upper one."""
        return self.ends in ("linear", "linear-below"), self.ends in ("linear", "linear-above")

    @property
    def n_params(self) -> int:
        """Widths, heights and slopes."""
        return 3 * self.bins + {"linear": -1, "free": 1}.get(self.ends, 0)


def spline_knots(params: Tensor, law: SplineLaw) -> tuple[Tensor, Tensor, Tensor]:
    """The spline as abscissas, ordinates and slopes of its K + 1 knots, on the leading axis.

    Args:
        params: (law.n_params, ...): widths, heights, slopes.
        law: what they mean.

    Returns:
        Three tensors of shape (K + 1, ...).

    Example:
        >>> law = SplineLaw(2, 5.0, min_width=0.01, min_height=0.02, ratio=8, ends="linear")
        >>> for values in spline_knots(torch.zeros(law.n_params), law):
        ...     print(values)
        tensor([-5.,  0.,  5.])
        tensor([-5.,  0.,  5.])
        tensor([1., 1., 1.])
    """
    bins, raw = law.bins, params[2 * law.bins :]
    widths = _shares(params[:bins], law.min_width)
    heights = _shares(params[bins : 2 * bins], law.min_height)
    secants = heights / widths
    if law.ends == "periodic":
        raw = torch.cat((raw, raw[:1]))
        secants = torch.cat((secants[-1:], secants, secants[:1]))
    below, above = law.fixed
    if law.ends != "periodic":
        first, last = secants[: not below], secants[len(secants) - (not above) :]
        secants = torch.cat((first, secants, last))
    left, right = secants[:-1], secants[1:]
    slopes = _relative(raw, law).exp() * 2 * left * right / (left + right)
    one = torch.ones_like(secants[:1])
    slopes = torch.cat((one[: int(below)], slopes, one[: int(above)]))
    knots = (torch.cat((torch.zeros_like(s[:1]), s.cumsum(0))) for s in (widths, heights))
    x, y = (law.bound * (2 * k - 1) for k in knots)
    return x, y, slopes


def neural_spline(x: Tensor, params: Tensor, law: SplineLaw) -> Pair:
    r"""Evaluate a spline; outside the box it is the identity, or goes on at its end slopes.

    Args:
        x: points of any shape.
        params: (law.n_params, \*x.shape), or what broadcasts to it.
        law: what they mean.

    Returns:
        z and log dz/dx, each of the broadcast shape.

    Example:
        >>> law = SplineLaw(2, 5.0, min_width=0.01, min_height=0.02, ratio=8, ends="linear")
        >>> z, log_slope = neural_spline(torch.tensor([1.0, 9.0]), torch.zeros(5, 2), law)
        >>> bool(torch.allclose(z, torch.tensor([1.0, 9.0])))
        True
    """
    return _apply(x, params, law, False)


def neural_spline_inverse(z: Tensor, params: Tensor, law: SplineLaw) -> Pair:
    """Undo `neural_spline`; returns x and log dx/dz."""
    return _apply(z, params, law, True)


def _apply(x: Tensor, params: Tensor, law: SplineLaw, inverse: bool) -> Pair:
    shape = torch.broadcast_shapes(x.shape, params.shape[1:])
    params = params.expand(len(params), *shape)
    # a compiler joins the passes of the plain way by itself; other derivatives need that way
    if traced() or _is_dual(x) or _is_dual(params):
        plain = rational_quadratic_inverse if inverse else rational_quadratic
        return plain(x, *spline_knots(params, law))
    return _Spline.apply(x.expand(shape).contiguous(), params, law, inverse)  # pyright: ignore


def _is_dual(x: Tensor) -> bool:
    """Whether it carries a tangent of forward-mode differentiation."""
    return forward_ad.unpack_dual(x).tangent is not None


def _shares(raw: Tensor, smallest: float) -> Tensor:
    return smallest + (1 - len(raw) * smallest) * raw.softmax(0)


def _relative(raw: Tensor, law: SplineLaw) -> Tensor:
    """Log-slopes over the harmonic mean of the secants, softly clipped."""
    return raw / (1 + raw.abs() / math.log(law.ratio))


class _Bin(NamedTuple):
    """What a value needs of its spline; both axes are in units of the box.

    Attributes:
        number: of the bin, (*S).
        shares: free part of the widths and heights of the bin before, its own and the next,
            (2, 3, *S).
        sums: sum of the free parts of all bins before, (2, *S).
        raw: unconstrained slopes at both ends, (2, *S).
    """

    number: Tensor
    shares: Tensor
    sums: Tensor
    raw: Tensor


def _bin(unit: Tensor, shares: Tensor, raw: Tensor, law: SplineLaw, inverse: bool) -> _Bin:
    """Find the bin on the axis of the value, and gather it."""
    sums = shares.cumsum(1)
    axis, floor = int(inverse), (law.min_width, law.min_height)[inverse]
    place = torch.arange(1, law.bins, device=unit.device).view(-1, *[1] * unit.ndim)
    edges = torch.add(floor * place, sums[axis, :-1], alpha=1 - law.bins * floor)
    index = (unit >= edges).sum(0)
    near = shares.gather(1, _near(index, law).expand(2, 3, *index.shape))
    own = index.expand(2, 1, *index.shape)
    before = sums.gather(1, own).squeeze(1) - near[:, 1]
    return _Bin(index, near, before, raw.gather(0, _ends(index, law)))


def _near(index: Tensor, law: SplineLaw) -> Tensor:
    """The bin before, the bin, the next; at an end the bin stands for the one that is missing."""
    near = torch.stack((index - 1, index, index + 1))
    return near.remainder_(law.bins) if law.ends == "periodic" else near.clamp_(0, law.bins - 1)


def _ends(index: Tensor, law: SplineLaw) -> Tensor:
    """Places of the slopes at both ends of a bin among the unconstrained ones."""
    if law.ends == "periodic":
        return torch.stack((index, index + 1)).remainder_(law.bins)
    first = index - int(law.fixed[0])
    return torch.stack((first, first + 1)).clamp_(0, law.n_params - 2 * law.bins - 1)


def _floors(law: SplineLaw, like: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest shares of both axes and what they leave, (2, 1, ...) beside (2, *S)."""
    floors = like.new_tensor((law.min_width, law.min_height)).view(2, *[1] * (like.ndim - 1))
    return floors, 1 - law.bins * floors


def _sides(bin: _Bin, law: SplineLaw) -> tuple[Tensor, Tensor]:
    """Widths and heights of three bins, (2, 3, *S), and the corner of the middle one, (2, *S)."""
    floors, left = _floors(law, bin.sums)
    sides = torch.addcmul(floors.unsqueeze(1), bin.shares, left.unsqueeze(1))
    return sides, torch.addcmul(floors * bin.number, bin.sums, left)


def _slopes(sides: Tensor, bin: _Bin, law: SplineLaw) -> tuple[Tensor, Tensor, Tensor | None]:
    """Slopes at both ends over the secant, their elasticity to it, and where they are fixed."""
    secants = sides[1] / sides[0]
    over = secants[1] / torch.stack((secants[0], secants[2]))
    slopes = 2 * _relative(bin.raw, law).exp() / (1 + over)
    if not any(law.fixed):
        return slopes, over / (1 + over), None
    ends = (bin.number == 0, bin.number == law.bins - 1)
    pairs = zip(ends, law.fixed, strict=True)
    fixed = torch.stack([end if given else torch.zeros_like(end) for end, given in pairs])
    slopes = torch.where(fixed, 1 / secants[1], slopes)
    return slopes, torch.where(fixed, 1.0, over / (1 + over)), fixed


class _Spline(torch.autograd.Function):
    """Value and log-slope at once, with written derivatives."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, params: Tensor, law: SplineLaw, inverse: bool) -> Pair:
        """Find the bin, gather it with its neighbours, evaluate it."""
        inner = x.clamp(-law.bound, law.bound)
        unit = inner / (2 * law.bound) + 0.5
        shares = params[: 2 * law.bins].unflatten(0, (2, law.bins)).softmax(1)
        bin = _bin(unit, shares, params[2 * law.bins :], law, inverse)
        sides, (x0, y0) = _sides(bin, law)
        width, height = sides[:, 1]
        start, end = _slopes(sides, bin, law)[0]
        # rounding must not carry t past the ends, where the slope is that of the lines outside
        near = segment_root((unit - y0) / height, start, end) if inverse else (unit - x0) / width
        t = near.clamp(0.0, 1.0)
        rise, log_slope = segment(t, width, height, start, end)
        out, log_slope = (x0 + t * width, -log_slope) if inverse else (y0 + rise, log_slope)
        out = (2 * out - 1) * law.bound
        if law.free:
            out = torch.addcmul(out, x - inner, log_slope.exp())
        else:
            inside = inner == x
            out, log_slope = torch.where(inside, out, x), torch.where(inside, log_slope, 0.0)
        ctx.law, ctx.inverse = law, inverse
        ctx.save_for_backward(x, params, log_slope, t, shares, *bin)
        return out, log_slope

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """The chain rule, from the value inward to all numbers of its spline."""
        x, params, log_slope, t, shares, *bin = ctx.saved_tensors
        if torch.is_grad_enabled():
            g_x, g_params = _differentiably(x, params, grads, ctx)
            return g_x, g_params, None, None
        law, bin, (g_out, g_log) = ctx.law, _Bin(*bin), grads
        inner = x.clamp(-law.bound, law.bound)
        inside = inner == x
        g_unit, beyond = g_out * (2 * law.bound), g_out
        if law.free:
            beyond = g_out * log_slope.exp()
            g_log = torch.addcmul(g_log, beyond, x - inner)
        else:
            g_unit, g_log = g_unit * inside, g_log * inside
        g_unit, *gathered = _bin_gradients(t, bin, law, g_unit, g_log, ctx.inverse)
        g_x = torch.where(inside, g_unit / (2 * law.bound), beyond)
        return g_x, _spread(gathered, shares, bin, law), None, None


def _bin_gradients(
    t: Tensor, bin: _Bin, law: SplineLaw, g_out: Tensor, g_log: Tensor, inverse: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients by the value, and by sides (2, 3, *S), corner (2, *S) and raw slopes (2, *S).

    Those of the inverse are those of the forward map at the same point, after a change of what
    comes in.
    """
    sides, _ = _sides(bin, law)
    slopes, elasticity, fixed = _slopes(sides, bin, law)
    (width, height), (start, end) = sides[:, 1], slopes
    rest = 1 - t
    mixed, both = t * rest, start + end - 2
    below = 1 + both * mixed
    rise = end * t * t + 2 * mixed + start * rest * rest
    share = (t * t + start * mixed) / below
    steep = height * rise / (below * below)
    log_t = 2 * ((end * t - start * rest + rest - t) / rise - both * (rest - t) / below)
    if inverse:
        g_out, g_log = (g_log * log_t - g_out * width) / steep, -g_log
    g_t = g_out * steep + g_log * log_t
    g_in = -g_out if inverse else g_t / width
    per = mixed / below
    g_end = g_out * height * per
    g_start, g_end = g_end * (1 - share), -g_end * share
    g_start = g_start + g_log * (rest * rest / rise - 2 * per)
    g_end = g_end + g_log * (t * t / rise - 2 * per)
    pull = torch.stack((g_start, g_end)) * slopes
    g_raw = pull / (1 + bin.raw.abs() / math.log(law.ratio)).square()
    pull = pull * elasticity
    own = pull[0] + pull[1]
    if fixed is not None:
        g_raw, pull = g_raw.masked_fill(fixed, 0.0), pull.masked_fill(fixed, 0.0)
    g_width = (own - g_log - g_t * t) / width
    g_height = g_out * share + (g_log - own) / height
    pulls = pull / sides[:, ::2]
    g_sides = torch.stack((-pulls[0, 0], g_width, -pulls[0, 1], pulls[1, 0], g_height, pulls[1, 1]))
    return g_in, g_sides.unflatten(0, (2, 3)), torch.stack((-g_t / width, g_out)), g_raw


def _spread(gathered: list[Tensor], shares: Tensor, bin: _Bin, law: SplineLaw) -> Tensor:
    """Take gradients by what was gathered back to all unconstrained numbers."""
    g_sides, g_corner, g_raw = gathered
    _, left = _floors(law, bin.sums)
    g_sides, g_corner = g_sides * left.unsqueeze(1), g_corner * left
    mean = (g_sides * bin.shares).sum(1) + g_corner * bin.sums
    grad = shares.new_empty(law.n_params, *bin.number.shape)
    g_shares = grad[: 2 * law.bins].unflatten(0, (2, law.bins))
    place = torch.arange(law.bins, device=shares.device).view(-1, *[1] * bin.number.ndim)
    before = (place < bin.number).to(shares.dtype)
    torch.mul(before, g_corner.unsqueeze(1), out=g_shares)
    g_shares.scatter_add_(1, _near(bin.number, law).expand(2, 3, *bin.number.shape), g_sides)
    g_shares.sub_(mean.unsqueeze(1)).mul_(shares)
    grad[2 * law.bins :].zero_().scatter_add_(0, _ends(bin.number, law), g_raw)
    return grad


def _differentiably(
    x: Tensor, params: Tensor, grads: tuple[Tensor, ...], ctx: Any
) -> tuple[Tensor | None, Tensor | None]:
    """The same gradients as a graph of their own."""
    function = rational_quadratic_inverse if ctx.inverse else rational_quadratic
    wanted = ctx.needs_input_grad[:2]
    inputs = [v for v, need in zip((x, params), wanted, strict=True) if need]
    outputs = function(x, *spline_knots(params, ctx.law))
    found = iter(torch.autograd.grad(outputs, inputs, grads, create_graph=True))
    return next(found) if wanted[0] else None, next(found) if wanted[1] else None
