"""A schedule that looks at the clusters while a model is trained."""

import copy
import warnings

import torch
from torch import Tensor

from anabranch.contracts import ClusterModel
from anabranch.objectives import sharpened_targets
from anabranch.training import FitResult
from anabranch.training.schedules import Schedule

# Rows that a pass without gradients takes at a time.
PART = 4096
# Of a watch, kept in checkpoints.
STATE = ("labels", "good", "last", "settled", "collapsed", "value")


class CollapsedWarning(UserWarning):
    """All rows came into one cluster; training was stopped, and an earlier state is kept."""


class ClusterWatch(Schedule):
    """Renews targets, and tells when a run is settled or has put all rows into one cluster.

    ``on_epoch`` is for `anabranch.training.fit`, which goes through no rows once it has told so.
    In the history, ``clusters`` is the number of clusters that have rows.

    Args:
        model: whose clusters are looked at.
        x: (N, D) rows to look at.
        every: epochs between two looks.
        targets: (N, K) to write sharpened targets into; None for none.
        tol: a run is settled when a smaller share of rows changed their cluster between two looks.

    Attributes:
        good: the last state that was looked at with more than one cluster.
        last: the last state that was evaluated.
        settled: whether few rows change any more.
        collapsed: the epoch after which all rows were in one cluster; None for none.
    """

    name = "clusters"

    def __init__(
        self,
        model: ClusterModel,
        x: Tensor,
        *,
        every: int = 1,
        targets: Tensor | None = None,
        tol: float = 0.0,
    ) -> None:
        self.model, self.x, self.every, self.targets, self.tol = model, x, every, targets, tol
        self.labels: Tensor | None = None
        self.good = self.last = copy.deepcopy(model.state_dict())
        self.settled = False
        self.collapsed: int | None = None
        self.value = float("nan")

    def on_epoch(self, epoch: int) -> Tensor | None:
        """Look at the clusters, where it is time to; no rows for the epoch once it is over."""
        if not self.over and epoch % self.every == 0:
            log_q = self.look(epoch)
            if self.targets is not None and not self.over:
                self._renew(log_q, self.targets)
        return torch.empty(0, dtype=torch.int64) if self.over else None

    @property
    def over(self) -> bool:
        """Whether there is nothing left to train."""
        return self.settled or self.collapsed is not None

    def look(self, epoch: int) -> Tensor:
        """Count the clusters, and keep the state if there are several; gives log q (K, N)."""
        log_q = log_responsibilities(self.model, self.x)
        self.value = float(len(log_q.argmax(0).unique()))
        if self.value < 2 <= len(log_q):
            self.collapsed = epoch
        else:
            self.good = copy.deepcopy(self.model.state_dict())
        return log_q

    def _renew(self, log_q: Tensor, targets: Tensor) -> None:
        labels = log_q.argmax(0)
        if self.labels is not None:
            self.settled = float((labels != self.labels).float().mean()) < self.tol
        self.labels = labels
        targets.copy_(sharpened_targets(log_q).mT)

    def finish(self, result: FitResult, epoch: int, *, last: bool) -> FitResult:
        """Leave the model in a state with more than one cluster: what fit chose, or the last.

        Args:
            result: of the fit.
            epoch: the last one.
            last: whether the last state is wanted.

        Returns:
            The result, which says where the run was settled or has collapsed.

        Warns:
            CollapsedWarning: where it has collapsed.
        """
        if last:
            self.model.load_state_dict(self.last)
        if self.collapsed is None:
            self.look(epoch)
        if len(result.history) > 1 and result.history[-1]["step"] == result.history[-2]["step"]:
            result.history.pop()  # the end of epochs that went through no rows
        if self.settled:
            result.stopped = "settled"
        if self.collapsed is not None:
            result.stopped = "collapsed"
            self._undo(self.collapsed)
        return result

    def _undo(self, epoch: int) -> None:
        self.model.load_state_dict(self.good)
        warnings.warn(
            f"after epoch {epoch} all rows were in one cluster: training was stopped, "
            "and the last state with more than one is kept. Lower the learning rate, or train "
            "the autoencoder for longer",
            CollapsedWarning,
            stacklevel=4,
        )

    def on_evaluation(self, score: float, optimizer: torch.optim.Optimizer) -> None:
        """Keep the state."""
        self.last = copy.deepcopy(self.model.state_dict())

    def state_dict(self) -> dict[str, object]:
        """What the looks so far have found."""
        return {name: getattr(self, name) for name in STATE}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Restore it."""
        for name in STATE:
            setattr(self, name, state[name])
        if self.labels is not None:
            self.labels = self.labels.to(self.x.device)


@torch.no_grad()
def log_responsibilities(model: ClusterModel, x: Tensor) -> Tensor:
    """Log q(k|x), (K, N), a few thousand rows at a time."""
    return torch.cat([model.responsibilities(part) for part in x.split(PART)], dim=1)
