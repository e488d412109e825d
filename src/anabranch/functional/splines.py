"""Monotone rational-quadratic splines."""

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]


def rational_quadratic(x: Tensor, knots_x: Tensor, knots_y: Tensor, slopes: Tensor) -> Pair:
    r"""Evaluate a monotone rational-quadratic spline; beyond its ends it goes on as a line.

    In a bin with secant s, slopes d at its ends, :math:`t \in [0, 1]` and :math:`a = t (1 - t)`,

    .. math::
        y = y_k + \frac{(y_{k+1} - y_k)(s t^2 + d_k a)}{s + (d_k + d_{k+1} - 2 s) a}

    The bins are on the leading axis.

    Source: Gregory, Delbourgo (1982), "Piecewise rational quadratic interpolation to monotonic
    data"; Durkan, Bekasov, Murray, Papamakarios (2019), "Neural spline flows", arXiv:1906.04032.

    Args:
        x: points of any shape.
        knots_x: (K + 1, \*x.shape), or what broadcasts to it; increasing along the leading axis.
        knots_y: likewise.
        slopes: positive slopes at the knots, likewise.

    Returns:
        y and log dy/dx, each of the shape of x.

    Example:
        >>> knots = torch.tensor([-1.0, 0.0, 1.0]).unsqueeze(-1)
        >>> y, log_slope = rational_quadratic(torch.tensor([0.5]), knots, knots, torch.ones(3, 1))
        >>> y, log_slope
        (tensor([0.5000]), tensor([0.]))
    """
    inner = torch.minimum(torch.maximum(x, knots_x[0]), knots_x[-1])
    x0, width, y0, height, start, end = _bin(inner, knots_x, (knots_x, knots_y), slopes)
    t = ((inner - x0) / width).clamp(0.0, 1.0)
    y, log_slope = segment(t, width, height, start, end)
    return y0 + y + (x - inner) * log_slope.exp(), log_slope


def rational_quadratic_inverse(y: Tensor, knots_x: Tensor, knots_y: Tensor, slopes: Tensor) -> Pair:
    """Undo `rational_quadratic`, in closed form.

    Returns:
        x and log dx/dy, each of the shape of y.

    Example:
        >>> knots = torch.tensor([-1.0, 0.0, 1.0]).unsqueeze(-1)
        >>> slopes = torch.tensor([1.0, 0.3, 1.0]).unsqueeze(-1)
        >>> y, _ = rational_quadratic(torch.tensor([0.5]), knots, knots, slopes)
        >>> rational_quadratic_inverse(y, knots, knots, slopes)[0]
        tensor([0.5000])
    """
    inner = torch.minimum(torch.maximum(y, knots_y[0]), knots_y[-1])
    x0, width, y0, height, start, end = _bin(inner, knots_y, (knots_x, knots_y), slopes)
    t = segment_root((inner - y0) / height, start, end)
    _, log_slope = segment(t, width, height, start, end)
    return torch.addcmul(x0, t, width) + (y - inner) * torch.exp(-log_slope), -log_slope


def segment(t: Tensor, width: Tensor, height: Tensor, start: Tensor, end: Tensor) -> Pair:
    r"""One bin, from its lower left corner; ``start`` and ``end`` are the slopes over the secant.

    Returns:
        y above the corner, and log dy/dx.
    """
    rest = 1 - t
    mixed = t * rest
    below = 1 + (start + end - 2) * mixed
    y = height * (t * t + start * mixed) / below
    rise = end * t * t + 2 * mixed + start * rest * rest
    return y, torch.log(height * rise / (width * below * below))


def segment_root(eta: Tensor, start: Tensor, end: Tensor) -> Tensor:
    r"""Where in a bin, t in [0, 1], the share :math:`\eta` of its height is reached.

    The quadratic :math:`(1 - b) t^2 + b t - \eta = 0` with :math:`b = d_0 - \eta (d_0 + d_1 - 2)`
    has the discriminant :math:`(b - 2 \eta)^2 + 4 \eta (1 - \eta)`, a sum that no rounding makes
    negative. Of the two forms of its root the one is taken in which nothing cancels.
    """
    eta = eta.clamp(0.0, 1.0)
    b = start - eta * (start + end - 2)
    root = torch.sqrt((b - 2 * eta).square() + 4 * eta * (1 - eta))
    rising = b > 0
    return torch.where(rising, 2 * eta, root - b) / torch.where(rising, b + root, 2 - 2 * b)


def _bin(
    point: Tensor, edges: Tensor, knots: tuple[Tensor, Tensor], slopes: Tensor
) -> tuple[Tensor, ...]:
    """Corner and sides of the bin that holds a point, and its slopes over the secant."""
    index = (point >= edges[1:-1]).sum(0)

    def at(values: Tensor, places: Tensor) -> Tensor:
        shape = (len(values), *places.shape)
        return values.expand(shape).gather(0, places.unsqueeze(0)).squeeze(0)

    (x0, y0), (x1, y1) = ([at(k, index + i) for k in knots] for i in (0, 1))
    width, height = x1 - x0, y1 - y0
    flatness = width / height
    return x0, width, y0, height, at(slopes, index) * flatness, at(slopes, index + 1) * flatness
