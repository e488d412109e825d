"""The loss of a model over data."""

import torch
from torch import nn

from anabranch.training.batches import Data, number_of_rows

# Rows at once that need little memory and keep a processor busy.
LEAST_ROWS = 4096


@torch.no_grad()
def evaluate(
    model: nn.Module, data: Data, batch_size: int, noise: torch.Generator | None = None
) -> dict[str, float]:
    """Means over data of the loss and its terms, in evaluation mode.

    Args:
        model: whose forward takes a dict of tensors and returns a `Loss`.
        data: tensors with equal first dimensions; "weights" among them are what each row counts.
        batch_size: rows at once, at least 4096.
        noise: source of the draws of a stochastic objective.

    Example:
        >>> from anabranch.objectives import Loss
        >>> class Square(nn.Module):
        ...     def forward(self, batch):
        ...         return Loss(batch["x"].square().mean(), {})
        >>> evaluate(Square(), {"x": torch.tensor([1.0, 2.0, 3.0])}, batch_size=2)["loss"]
        4.666...
    """
    was_training, drawing = model.training, drawing_from(noise, model)
    model.eval()
    n_rows = number_of_rows(data)
    size = max(batch_size, LEAST_ROWS)
    counts = data.get("weights", torch.ones(n_rows)).double()
    totals: dict[str, float] = {}
    for start in range(0, n_rows, size):
        batch = {name: tensor[start : start + size] for name, tensor in data.items()}
        loss = model(batch, **drawing)
        share = float(counts[start : start + size].sum() / counts.sum())
        for name, value in {"loss": loss.total, **loss.terms}.items():
            totals[name] = totals.get(name, 0.0) + share * float(value)
    model.train(was_training)
    return totals


def drawing_from(
    noise: torch.Generator | None, model: nn.Module
) -> dict[str, torch.Generator | None]:
    """Keywords for the forward of a model: its source of draws, where it is stochastic."""
    return {"generator": noise} if getattr(model, "stochastic", False) else {}
