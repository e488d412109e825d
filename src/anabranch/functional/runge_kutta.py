"""Solutions of ordinary differential equations in fixed steps."""

from collections.abc import Callable

from torch import Tensor

State = tuple[Tensor, ...]


def runge_kutta(
    slope: Callable[[float, State], State],
    state: State,
    *,
    start: float = 0.0,
    end: float = 1.0,
    n_steps: int = 16,
) -> State:
    r"""Follow :math:`dy/dt = f(t, y)` by the classical method of fourth order, in equal steps.

    Gradients go through the steps, so that they are those of what is computed. The error falls with
    the fourth power of the number of steps.

    Args:
        slope: f, of a time and tensors; it gives tensors of the same shapes.
        state: y at the start.
        start: where time begins.
        end: where it ends, before or after.
        n_steps: how many steps.

    Returns:
        y at the end.

    Source: Hairer, Nørsett, Wanner (1993), "Solving ordinary differential equations I", II.1.

    Example:
        >>> import torch
        >>> (y,) = runge_kutta(lambda t, y: (y[0],), (torch.ones(1),))
        >>> y
        tensor([2.7183])
    """
    step = (end - start) / n_steps
    for number in range(n_steps):
        t = start + number * step
        first = slope(t, state)
        second = slope(t + step / 2, _moved(state, first, step / 2))
        third = slope(t + step / 2, _moved(state, second, step / 2))
        fourth = slope(t + step, _moved(state, third, step))
        state = tuple(
            y + step / 6 * (a + 2 * (b + c) + d)
            for y, a, b, c, d in zip(state, first, second, third, fourth, strict=True)
        )
    return state


def _moved(state: State, slope: State, step: float) -> State:
    return tuple(y + step * dy for y, dy in zip(state, slope, strict=True))
