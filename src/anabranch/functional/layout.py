"""Feature-major memory under a features-last contract.

Every public tensor is (*batch_shape, N, features): features last, as everywhere in the ecosystem.
Inside, networks and structures work on *columns*, the ``.mT`` view (*batch_shape, features, N):
splitting features is then slicing rows, a matrix product needs no copy, and reductions over few
features or components vectorise over the samples. On small flows this is about twice as fast as
the plain layout; no caller has to know.
"""

import torch
from torch import Tensor

from anabranch.functional.modes import transformed


def split_parameters(columns: Tensor, n_params: int) -> Tensor:
    """Bring the parameters of a scalar map to a leading axis, without a copy.

    Args:
        columns: (*batch, n_params * D, N), the output of a conditioner; parameter-major.
        n_params: how many parameters each feature has.

    Returns:
        A view of shape (n_params, *batch, D, N).

    Example:
        >>> import torch
        >>> columns = torch.tensor([[1.0], [2.0], [10.0], [20.0]])
        >>> shift, log_scale = split_parameters(columns, 2)
        >>> shift.mT, log_scale.mT
        (tensor([[1., 2.]]), tensor([[10., 20.]]))
    """
    if n_params == 1:
        return columns.unsqueeze(0)
    *batch, rows, n = columns.shape
    params = columns.view(*batch, n_params, rows // n_params, n)
    return params.movedim(-3, 0) if batch else params


def circle_columns(columns: Tensor) -> Tensor:
    """Angles as what does not jump where the circle is cut: cosine and sine, one below the other.

    Args:
        columns: (..., D, N), in radians.

    Returns:
        (..., 2 D, N).

    Example:
        >>> circle_columns(torch.tensor([[0.0], [torch.pi]])).round(decimals=4).mT
        tensor([[ 1.,  0., -1., -0.]])
    """
    return torch.stack((columns.cos(), columns.sin()), -2).flatten(-3, -2)


def channels_last(maps: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Maps (N, F, H, W) in the layout that convolutions on processors take most easily.

    Maps of one channel have both layouts, and what is made of them would have the slower one.
    `torch.func.vmap` knows no layouts of its maps, which stay as they are.

    Example:
        >>> channels_last(torch.zeros(2, 3, 4, 5)).stride()
        (60, 1, 15, 3)
    """
    dtype = maps.dtype if dtype is None else dtype
    if transformed():
        return maps.to(dtype)
    return maps.to(dtype, memory_format=torch.channels_last).contiguous(
        memory_format=torch.channels_last
    )
