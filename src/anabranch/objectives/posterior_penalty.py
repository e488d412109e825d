"""What a posterior network learns without a model: the same answer nearby, and certain answers."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from anabranch.objectives.consistency import balance, consistency
from anabranch.objectives.perturbations import Perturbation

# Of H(mean q), in units of the mean H(q).
SPREAD = 4.0


class PosteriorPenalty(nn.Module):
    r"""Consistency of q(y|x) under a perturbation, and balance of its answers, in nats.

    .. math:: w\, E\, \mathrm{KL}(q(\cdot \mid x) \,\|\, q(\cdot \mid x'')) + b\, [E\, H(q(\cdot
        \mid x)) - 4\, H(E\, q(\cdot \mid x))]

    Source: see `anabranch.objectives.consistency` and `anabranch.objectives.balance`.

    Args:
        perturbation: from x to x''.
        weight: w.
        balance: b.

    Raises:
        ValueError: for a weight that is not positive, or a negative balance.

    Example:
        >>> from anabranch.objectives import GaussianNoise
        >>> penalty = PosteriorPenalty(GaussianNoise(0.1), 1.0)
        >>> logits, value = penalty(lambda x: x.mT, torch.zeros(5, 3), None)
        >>> logits.shape, value.shape
        (torch.Size([3, 5]), torch.Size([]))
    """

    def __init__(self, perturbation: Perturbation, weight: float, balance: float = 0.0) -> None:
        super().__init__()
        if not weight > 0:
            raise ValueError(f"weight must be positive, got {weight}")
        if not balance >= 0:
            raise ValueError(f"balance must not be negative, got {balance}")
        self.perturbation, self.weight, self.balance = perturbation, weight, balance

    def forward(
        self,
        logits_of: Callable[[Tensor], Tensor],
        x: Tensor,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Logits at rows, and the penalty, from one pass through the network.

        Args:
            logits_of: from rows (N, D) to logits (K, N).
            x: (N, D).
            generator: source of the perturbation.

        Returns:
            (K, N), and a scalar.
        """
        moved = self.perturbation(
            x, lambda rows: torch.log_softmax(logits_of(rows), dim=0), generator
        )
        return penalised_logits(logits_of, x, moved, self.weight, self.balance)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"weight={self.weight}, balance={self.balance}"


def penalised_logits(
    logits_of: Callable[[Tensor], Tensor],
    x: Tensor,
    moved: Tensor,
    weight: float | Tensor,
    balance_weight: float,
) -> tuple[Tensor, Tensor]:
    """Logits at rows (K, N), and the penalty of what the moved rows get; see `PosteriorPenalty`."""
    # one pass for both: small networks cost little more for twice the rows
    logits = logits_of(torch.cat((x, moved)))
    # at temperature one, so that annealing q does not turn small changes into large divergences
    log_q, log_q_moved = torch.log_softmax(logits, dim=0).split(len(x), dim=1)
    term = weight * consistency(log_q, log_q_moved).mean()
    if balance_weight:
        term = term + balance_weight * balance(log_q, SPREAD)
    return logits[:, : len(x)], term
