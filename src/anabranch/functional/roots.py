"""Inverses of increasing functions that have no closed form."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from anabranch.functional.modes import traced

# scipy.optimize.elementwise.find_root is the same method, to the same bits (4e-16 apart). It takes
# 2.8 times as long here (9.5 ms against 3.3 ms for 4096 roots of x + sinh x on one thread), leaves
# the device, carries no gradients, and cannot be compiled or run on the meta device.

Function = Callable[[Tensor], Tensor]

ORDER = 2  # of the derivatives that `implicit` gives
WIDENINGS, STEPS = 128, 200
UNATTENDED_WIDENINGS, UNATTENDED_STEPS = 32, 64  # where values cannot be looked at
REST = 32  # how many roundings a point may move by that stays
MOST_REPEATS, UNATTENDED_REPEATS, REPEATS_TOGETHER = 10_000, 128, 4


@torch.no_grad()
def find_root(
    function: Function, target: Tensor, *, lower: float | Tensor, upper: float | Tensor
) -> Tensor:
    """Solve ``function(x) = target`` for x, elementwise, in float64; no gradients.

    The function must increase. A bracket that does not hold the root is widened, by twice as much
    each time, until it does. Then Chandrupatla's method: inverse quadratic interpolation where
    that is safe, bisection elsewhere; about ten evaluations, and never many more than bisection
    takes. While compiled or transformed by `torch.func`, the numbers of evaluations are fixed, and
    a value without a root gives NaN.

    Source: Chandrupatla (1997), "A new hybrid quadratic/bisection algorithm for finding the zero
    of a nonlinear function without using derivatives", Advances in Engineering Software 28.

    Args:
        function: increasing, elementwise, of float64 tensors of the shape of target; what it
            closes over should be float64 as well.
        target: values to reach, of any floating dtype.
        lower: first guess of a point below the root; a number, or a tensor that broadcasts.
        upper: first guess of a point above it.

    Returns:
        The root, of the shape and dtype of target, as exact as that dtype allows.

    Raises:
        ArithmeticError: where no bracket holds the root, as with parameters that are not finite.

    Example:
        >>> find_root(torch.sinh, torch.tensor([0.0, 1e6]), lower=-1.0, upper=1.0)
        tensor([ 0.0000, 14.5087])
    """
    goal = target.double()
    if goal.is_meta:
        return torch.empty_like(function(goal), dtype=target.dtype)

    def excess(x: Tensor) -> Tensor:
        return function(x) - goal

    a = torch.as_tensor(lower, dtype=goal.dtype, device=goal.device).expand(goal.shape)
    b = torch.as_tensor(upper, dtype=goal.dtype, device=goal.device).expand(goal.shape)
    seen = not traced()
    step = torch.where(a < b, b - a, 1.0)
    a, f_a = _widen(excess, a, -step, -1, seen=seen)
    b, f_b = _widen(excess, b, step, 1, seen=seen)
    lost = ~((f_a <= 0) & (f_b >= 0))
    if seen and bool(lost.any()):
        first = goal[lost][0].item()
        raise ArithmeticError(
            f"no root for {int(lost.sum())} of {goal.numel()} values: the function does not "
            f"reach {first:g}, or its parameters are not finite"
        )
    root = _chandrupatla(excess, a, b, f_a, f_b, seen=seen).to(target.dtype)
    return root if seen else root.masked_fill(lost, torch.nan)


def implicit(
    function: Function, root: Tensor, target: Tensor, slope: Tensor | None = None
) -> Tensor:
    r"""Give a root its first and second derivatives, by target and all that the function knows.

    .. math:: x_0 = r, \qquad x_{i+1} = x_i - \frac{f(x_i) - y}{f'(r)}

    with r and f'(r) held fixed. Each step polishes the root, and is right to one order more: one
    gives :math:`dx = (dy - \partial_\theta f\, d\theta) / f'`, the implicit function theorem. Third
    derivatives are refused, as `limited` does it.

    Args:
        function: increasing and elementwise; differentiable in what it closes over.
        root: solves function(root) = target.
        target: of the shape of root.
        slope: f'(root), where it is known; otherwise it is differentiated.

    Returns:
        The root, with derivatives right to the second order in reverse and forward mode.

    Example:
        >>> a = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
        >>> y = torch.tensor([8.0], dtype=torch.float64)
        >>> root = find_root(lambda x: a * x, y, lower=0.0, upper=1.0)
        >>> x = implicit(lambda x: a * x, root, y)  # y / a
        >>> x.detach(), torch.autograd.grad(x.sum(), a)[0]
        (tensor([4.], dtype=torch.float64), tensor(-2., dtype=torch.float64))
    """
    root = root.detach()
    # inference mode knows no derivatives of any kind; a compiler cannot ask for it
    if not torch.compiler.is_compiling() and torch.is_inference_mode_enabled():
        return root
    if slope is None:
        with torch.enable_grad():
            point = root.clone().requires_grad_()
            (slope,) = torch.autograd.grad(function(point).sum(), point)
    slope = slope.detach().clamp_min(torch.finfo(root.dtype).tiny)
    for _ in range(ORDER - 1):
        root = root - (function(root) - target) / slope
    return root - limited(function(root) - target) / slope


def limited(x: Tensor, order: int = ORDER) -> Tensor:
    """The same numbers, whose derivatives beyond an order are refused, not wrong.

    Args:
        x: what is right to that order only.
        order: how often it may be differentiated.

    Returns:
        x, in eager code; a compiler differentiates once only, and gets x itself.

    Raises:
        NotImplementedError: from the derivative of order ``order + 1``.

    Example:
        >>> x = torch.ones((), requires_grad=True)
        >>> y = limited(x, 1).square()
        >>> (slope,) = torch.autograd.grad(y, x, create_graph=True)
        >>> float(slope.detach())
        2.0
        >>> torch.autograd.grad(slope, x)
        Traceback (most recent call last):
        NotImplementedError: a numeric inverse has derivatives to order 1, and no others
    """
    if torch.compiler.is_compiling():
        return x
    return _Limited.apply(x, None, order, order)  # pyright: ignore[reportReturnType]


class _Limited(torch.autograd.Function):
    """x itself, or a constant that is differentiated as a function of x, for as long as it may."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, constant: float | None, left: int, order: int) -> Tensor:  # pyright: ignore
        return x.clone() if constant is None else torch.full_like(x, constant)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, *ctx.rest = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        return grad * _Limited._slope(ctx), None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:  # pyright: ignore
        return tangent * _Limited._slope(ctx)

    @staticmethod
    def _slope(ctx: Any) -> Tensor:
        constant, left, order = ctx.rest
        if left == 0:
            raise NotImplementedError(
                f"a numeric inverse has derivatives to order {order}, and no others"
            )
        slope = 1.0 if constant is None else 0.0
        return _Limited.apply(ctx.saved_tensors[0], slope, left - 1, order)  # pyright: ignore


def _widen(
    excess: Function, x: Tensor, step: Tensor, sign: int, *, seen: bool
) -> tuple[Tensor, Tensor]:
    """Move x by steps that double until its excess does not have the other sign."""
    value = excess(x)
    for _ in range(WIDENINGS if seen else UNATTENDED_WIDENINGS):
        short = value * sign < 0
        if seen and not bool(short.any()):
            break
        x = torch.where(short, x + step, x)
        step = 2 * step
        value = torch.where(short, excess(x), value)
    return x, value


def _chandrupatla(
    excess: Function, a: Tensor, b: Tensor, f_a: Tensor, f_b: Tensor, *, seen: bool
) -> Tensor:
    """The root within [a, b], whose ends have values of either sign.

    The newest point is ``a``; ``b`` is on the other side of the root, ``c`` is the one before.
    """
    # a root that is one of the ends has no sign, and is both of them
    a, b = torch.where(f_b == 0, b, a), torch.where(f_a == 0, a, b)
    f_a, f_b = torch.where(f_b == 0, f_b, f_a), torch.where(f_a == 0, f_a, f_b)
    c, f_c = a, f_a
    t = torch.full_like(a, 0.5)
    eps = torch.finfo(a.dtype).eps
    for _ in range(STEPS if seen else UNATTENDED_STEPS):
        x = a + t * (b - a)
        f_x = excess(x)
        same = (f_x < 0) == (f_a < 0)
        c, f_c = torch.where(same, a, b), torch.where(same, f_a, f_b)
        b, f_b = torch.where(same, b, a), torch.where(same, f_b, f_a)
        a, f_a = x, f_x
        better = f_a.abs() < f_b.abs()
        best, f_best = torch.where(better, a, b), torch.where(better, f_a, f_b)
        least = (2 * eps * best.abs() + 1e-300) / (b - a).abs().clamp_min(1e-300)
        if seen and bool(((least > 0.5) | (f_best == 0)).all()):
            return best
        t = _fraction(a, b, c, f_a, f_b, f_c)
        t = torch.maximum(torch.minimum(t, 1 - least), least).clamp(0.0, 1.0)
        t = torch.where(f_best == 0, torch.where(better, 0.0, 1.0), t)
    better = f_a.abs() < f_b.abs()
    return torch.where(better, a, b)


def _fraction(a: Tensor, b: Tensor, c: Tensor, f_a: Tensor, f_b: Tensor, f_c: Tensor) -> Tensor:
    """Where between a and b to look next: interpolated where that is safe, the middle elsewhere."""
    xi, phi = (a - b) / (c - b), (f_a - f_b) / (f_c - f_b)
    safe = (phi.square() < xi) & ((1 - phi).square() < 1 - xi)
    inner = f_a / (f_b - f_a) * f_c / (f_b - f_c)
    outer = (c - a) / (b - a) * f_a / (f_c - f_a) * f_b / (f_c - f_b)
    return torch.where(safe, inner + outer, 0.5).nan_to_num(0.5, 0.5, 0.5)


@torch.no_grad()
def fixed_point(function: Function, start: Tensor) -> Tensor:
    """Repeat x = function(x) until x stands still, for a function that draws points together.

    While compiled or transformed by `torch.func` the number of steps is fixed, too small where the
    function hardly contracts.

    Source: Banach (1922).

    Args:
        function: with a Lipschitz constant below one, of tensors of the shape of start, rows of
            which are points.
        start: where it begins; any point will do.

    Returns:
        The point that stays, without gradients.

    Raises:
        ArithmeticError: where it does not come to rest.

    Example:
        >>> fixed_point(lambda x: 1 - x / 2, torch.zeros(()))
        tensor(0.6667)
    """
    if start.is_meta:
        return function(start)
    x, seen = start, not traced()
    for step in range(MOST_REPEATS if seen else UNATTENDED_REPEATS):
        fresh = function(x)
        if seen and step % REPEATS_TOGETHER == 0:
            # what rounds is as large as the largest number of the row
            size = 1 + (x.abs().amax(-1, keepdim=True) if x.ndim and x.numel() else x.abs())
            still = (fresh - x).abs() <= REST * torch.finfo(x.dtype).eps * size
            if bool(still.all()):
                return fresh
        x = fresh
    if seen:
        raise ArithmeticError(
            f"no fixed point after {MOST_REPEATS} steps: the function does not contract, or its "
            "parameters are not finite"
        )
    return x
