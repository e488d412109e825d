"""Where rows stand among each other: the empirical distribution function and its targets."""

import torch
from torch import Generator, Tensor

ROWS = 1024  # compared with all others at a time, where there are several columns


def smooth_targets(
    x: Tensor, weights: Tensor | None = None, places: Tensor | None = None
) -> Tensor:
    r"""The share of rows that lie below each row in all columns, itself counted.

    .. math:: t_n = \frac{1}{1 + \sum_m w_m} \sum_m w_m \prod_d [x_{md} \le x_{nd}]

    In one column the i-th smallest of N has i / (N + 1), the mean of the i-th smallest of N
    uniforms. Several columns take :math:`N^2 D` comparisons.

    Args:
        x: (N, D).
        weights: (N,) what each row counts; None for one.
        places: (M, D) other places than the rows, or None.

    Returns:
        (N,) in (0, 1), or (M,) in [0, 1).

    Source: Magdon-Ismail, Atiya (2002), "Density estimation and random variate generation using
    multilayer networks", IEEE Transactions on Neural Networks 13.

    Example:
        >>> smooth_targets(torch.tensor([[0.3], [-2.0], [9.0]]))
        tensor([0.5000, 0.2500, 0.7500])
    """
    counts = torch.ones_like(x[:, 0]) if weights is None else weights.to(x.dtype)
    places = x if places is None else places
    if x.shape[1] == 1:
        column, order = x.squeeze(1).sort()
        sums = torch.cat((counts.new_zeros(1), counts[order].cumsum(0)))
        below = sums[torch.searchsorted(column, places.squeeze(1).contiguous(), right=True)]
        return below / (1 + counts.sum())
    parts = [(x <= part.unsqueeze(1)).all(-1).to(x.dtype) @ counts for part in places.split(ROWS)]
    return torch.cat(parts) / (1 + counts.sum())


def stochastic_targets(x: Tensor, generator: Generator | None = None) -> Tensor:
    """Uniforms in the order of the rows: the i-th smallest row has the i-th smallest of N.

    Args:
        x: (N, 1).
        generator: source of the uniforms; torch's default where None.

    Returns:
        (N,) in [0, 1).

    Source: Magdon-Ismail, Atiya (2002), as for `smooth_targets`.

    Example:
        >>> x = torch.tensor([[0.3], [-2.0], [9.0]])
        >>> stochastic_targets(x, torch.Generator().manual_seed(0)).argsort()
        tensor([1, 0, 2])
    """
    column = x.squeeze(-1)
    u = torch.rand(len(column), generator=generator, dtype=x.dtype).sort().values.to(x.device)
    return torch.empty_like(u).scatter_(0, column.argsort(), u)
