"""Means of which some entries count more than others."""

from torch import Tensor


def weighted_mean(values: Tensor, weights: Tensor | None = None) -> Tensor:
    r""":math:`\sum_n w_n v_n / \sum_n w_n`, as if row n were there w_n times.

    Args:
        values: (..., N).
        weights: (N,) numbers not below zero with a positive sum; None for one each.

    Example:
        >>> import torch
        >>> weighted_mean(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 1.0]))
        tensor(2.)
    """
    return values.mean(-1) if weights is None else (values * weights).sum(-1) / weights.sum()
