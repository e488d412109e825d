"""Bounded log-scales: no flow of ours exponentiates a number that the data can make large."""

import torch
from torch import Tensor


def bounded(raw: Tensor, bound: float) -> Tensor:
    r"""Soft clip a log-scale: :math:`b \tanh(r / b)`, slope one at zero, within :math:`(-b, b)`.

    Args:
        raw: unconstrained values of any shape.
        bound: the limit b > 0.

    Returns:
        Values of the same shape, in (-bound, bound).

    Example:
        >>> bounded(torch.tensor([0.0, 0.1, 1e6]), 2.0)
        tensor([0.0000, 0.0999, 2.0000])
    """
    if bound == 1.0:
        return torch.tanh(raw)
    return torch.tanh(raw / bound) * bound
