"""Bounded log-scales: no flow of ours exponentiates a number that the data can make large."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def tanh_law(raw: Tensor, bound: float) -> Tensor:
    r""":math:`b \tanh(r / b)`, of Real NVP."""
    if bound == 1.0:
        return torch.tanh(raw)
    return torch.tanh(raw / bound) * bound


def softsign_law(raw: Tensor, bound: float) -> Tensor:
    r""":math:`r / (1 + |r| / b)`, of zuko: three cheap operations, slow tails."""
    return raw / (1 + raw.abs() / bound)


def atan_law(raw: Tensor, bound: float) -> Tensor:
    r""":math:`\tfrac{2b}{\pi} \arctan(\tfrac{\pi r}{2b})`, of FrEIA."""
    return torch.atan(raw * (math.pi / (2 * bound))) * (2 * bound / math.pi)


LAWS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "atan": atan_law,
    "softsign": softsign_law,
    "tanh": tanh_law,
}


def bounded(raw: Tensor, bound: float, law: str = "tanh") -> Tensor:
    r"""Soft clip a log-scale: slope one at zero, within :math:`(-b, b)`.

    Args:
        raw: unconstrained values of any shape.
        bound: the limit b > 0.
        law: "tanh", "softsign" (the cheapest) or "atan".

    Returns:
        Values of the same shape, in (-bound, bound).

    Raises:
        ValueError: for another law.

    Example:
        >>> bounded(torch.tensor([0.0, 0.1, 1e6]), 2.0)
        tensor([0.0000, 0.0999, 2.0000])
        >>> bounded(torch.tensor([0.0, 0.1, 2.0]), 2.0, "softsign")
        tensor([0.0000, 0.0952, 1.0000])
    """
    check_law(law)
    return LAWS[law](raw, bound)


def check_law(law: str) -> None:
    """Refuse an unknown law of scales.

    Raises:
        ValueError: lists the known ones.
    """
    if law not in LAWS:
        raise ValueError(f"law must be one of {sorted(LAWS)}, got {law!r}")
