"""Rows ready for training."""

from dataclasses import dataclass

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
        draws: (n, S, D) rows with several draws of missing cells, which judge; or None.
        draws_log_prob: (n, S) log-density of what was drawn given the rest, or None.
    """

    z: Tensor
    term: Tensor
    targets: Tensor | None = None
    raw: Tensor | None = None
    features: Tensor | None = None
    context: Tensor | None = None
    draws: Tensor | None = None
    draws_log_prob: Tensor | None = None

    @property
    def seen(self) -> Tensor:
        """What the posterior network sees."""
        return self.z if self.features is None else self.features

    def batch(self, device: str) -> dict[str, Tensor]:
        """The tensors that the model is trained on."""
        data = {"x": self.z, "term": self.term}
        for name in ("targets", "features", "context", "draws", "draws_log_prob"):
            if getattr(self, name) is not None:
                data[name] = getattr(self, name)
        return {name: tensor.to(device) for name, tensor in data.items()}
