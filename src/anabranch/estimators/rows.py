"""Rows ready for training."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass
class Rows:
    """Rows ready for training.

    Attributes:
        z: (n, D) as the flows see them.
        term: (n,) log-density terms of the preparation.
        targets: (n, K) labels, or None.
        raw: (n, D) integers that are dequantized anew at every epoch, or None.
        features: (n, D) what the posterior network sees where that is not z, or None.
        context: (n, C) what a conditional density depends on, standardised, or None.
    """

    z: Tensor
    term: Tensor
    targets: Tensor | None = None
    raw: Tensor | None = None
    features: Tensor | None = None
    context: Tensor | None = None

    @property
    def seen(self) -> Tensor:
        """What the posterior network sees."""
        return self.z if self.features is None else self.features

    def batch(self, device: str) -> dict[str, Tensor]:
        """The tensors that the model is trained on."""
        data = {"x": self.z, "term": self.term}
        for name in ("targets", "features", "context"):
            if getattr(self, name) is not None:
                data[name] = getattr(self, name)
        return {name: tensor.to(device) for name, tensor in data.items()}


def split_rows(
    n_rows: int,
    targets: NDArray[np.float64] | None,
    share: float,
    random_state: np.random.RandomState,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on and rows held out; labelled rows are held out only if all are labelled.

    Fewer than ten rows are too few to hold any out: they are trained and scored on.

    Example:
        >>> rows, held_out = split_rows(50, None, 0.1, np.random.RandomState(0))
        >>> len(rows), len(held_out)
        (45, 5)
    """
    order = random_state.permutation(n_rows)
    n_held_out = 0 if n_rows < 10 else max(round(share * n_rows), 2)
    known = np.zeros(n_rows, bool) if targets is None else targets.sum(axis=1) > 0
    if n_held_out < (~known).sum():
        order = order[np.argsort(known[order], kind="stable")]
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])
