"""Flows of a given number of parameters."""

from bisect import bisect_right
from typing import Any

from anabranch.distributions import Distribution
from anabranch.models import build
from anabranch.models.counting import free_parameters


def parameters(flow: dict[str, Any], features: int) -> int:
    """How many parameters a flow has."""
    model = build(**flow, features=features, seed=0)
    assert isinstance(model, Distribution)
    return free_parameters(model)


def of_size(flow: dict[str, Any], features: int, most: int) -> dict[str, Any]:
    """The same flow with hidden layers so narrow that it has at most so many parameters.

    Example:
        >>> flow = {"name": "maf", "hidden": [64, 64]}
        >>> of_size(flow, 10, parameters(flow, 10) // 5)["hidden"]
        [22, 22]
    """
    widest, layers = flow["hidden"][0], len(flow["hidden"])

    def wide(width: int) -> dict[str, Any]:
        return {**flow, "hidden": [width] * layers}

    widths = range(1, widest + 1)
    fit = bisect_right(widths, most, key=lambda width: parameters(wide(width), features))
    return wide(max(fit, 1))
