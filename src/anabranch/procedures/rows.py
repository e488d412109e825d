"""Rows ready for training."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anabranch.algorithms.gaussians import RowWeights

Array = NDArray[np.float64]


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
        draws: (n, S, D) rows with several draws of missing cells, which judge; or None.
        draws_log_prob: (n, S) log-density of what was drawn given the rest, or None.
        weights: (n,) what each row counts, or None for one.
    """

    z: Tensor
    term: Tensor
    targets: Tensor | None = None
    raw: Tensor | None = None
    features: Tensor | None = None
    context: Tensor | None = None
    draws: Tensor | None = None
    draws_log_prob: Tensor | None = None
    weights: Tensor | None = None

    @property
    def seen(self) -> Tensor:
        """What the posterior network sees."""
        return self.z if self.features is None else self.features

    def batch(self, device: str) -> dict[str, Tensor]:
        """The tensors that the model is trained on."""
        data = {"x": self.z, "term": self.term}
        for name in ("targets", "features", "context", "draws", "draws_log_prob", "weights"):
            if getattr(self, name) is not None:
                data[name] = getattr(self, name)
        return {name: tensor.to(device) for name, tensor in data.items()}

    @property
    def counts(self) -> Array | None:
        """What each row counts as numbers, None for one."""
        return None if self.weights is None else self.weights.double().numpy()


def row_weights(rows: Rows, validation: Rows) -> RowWeights | None:
    """What rows to train on and those that judge count; None where each counts one."""
    training, judging = rows.counts, validation.counts
    if training is None and judging is None:
        return None
    return RowWeights(
        np.ones(len(rows.z)) if training is None else training,
        np.ones(len(validation.z)) if judging is None else judging,
    )
