"""What the fit loop minimises."""

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from anabranch.contracts.loss import Loss


class Objective(nn.Module):
    r"""What `anabranch.training.fit` minimises; the model inside does not know how it is trained.

    An objective holds its model as an attribute (``model`` or ``distribution``), so that its
    parameters are those of the model, and whatever a training sets: weights of terms,
    perturbations, numbers of draws.

    Attributes:
        stochastic: whether ``forward`` draws random numbers. It then draws them from ``generator``
            only, whose state the loop keeps, so that a resumed run draws the same ones.

    Example:
        >>> class Jittered(Objective):
        ...     stochastic = True
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.loc = nn.Parameter(torch.zeros(()))
        ...     def forward(self, batch, *, generator=None):
        ...         noise = torch.randn(batch["x"].shape, generator=generator)
        ...         square = (batch["x"] + 0.1 * noise - self.loc).square().mean()
        ...         return Loss(square, {"square": square})
        >>> batch = {"x": torch.zeros(3)}
        >>> sources = [torch.Generator().manual_seed(0) for _ in range(2)]
        >>> first, second = (Jittered()(batch, generator=source).total for source in sources)
        >>> bool(first == second)
        True
    """

    stochastic: bool = False

    @abstractmethod
    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The loss of a batch, means over its rows.

        Args:
            batch: tensors whose first dimensions are the rows.
            generator: source of the draws where ``stochastic``, on the device of the model; None
                for torch's own. Given by the loop to stochastic objectives only.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")
