"""Checkpoints of fits that run the fit loop several times."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from anabranch.archive import fingerprint
from anabranch.training import FitOptions, FitResult, fit

# Of each stage, what its checkpoint is called, and what a user is told.
NAMES = {
    "autoencoder": "pretrain",
    "classifier": "teach q",
    "network": "learn q alone",
    "bound": "train",
    "clusters": "train clusters",
}


class Stages:
    """The runs of the fit loop that one fit consists of, each with a checkpoint of its own.

    The file of a stage is that of the whole fit with the name and the number of the stage behind.
    That of a finished stage stays until `remove`, and a resumed fit passes such a stage by at once.

    Args:
        path: of the checkpoint; None for none.
        resume: go on with stages that have a file. The others begin anew.
        identity: plain values that a checkpoint must share to be resumed from.

    Attributes:
        run: names of the stages that were run, as users are told them.

    Example:
        >>> from anabranch.objectives import Loss
        >>> class Square(nn.Linear):
        ...     def forward(self, batch):
        ...         return Loss(super().forward(batch["x"]).square().mean(), {})
        >>> import torch
        >>> stages, options = Stages(None, resume=False), FitOptions(max_epochs=1)
        >>> result = stages.loop("bound")(Square(1, 1), {"x": torch.ones(4, 1)}, options=options)
        >>> result.stages, stages.run
        (['train'], ['train'])
    """

    def __init__(
        self, path: str | Path | None, *, resume: bool, identity: Mapping[str, Any] | None = None
    ) -> None:
        self.path = None if path is None else Path(path)
        self.resume, self.identity = resume, identity or {}
        self.counts: Counter[str] = Counter()
        self.run: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Around all stages: unless a fit is resumed, files of earlier and of failed ones go."""
        if not self.resume:
            self.remove()
        try:
            yield
        except (TypeError, ValueError):
            # it would fail again
            if not self.resume:
                self.remove()
            raise

    def loop(self, name: str) -> Callable[..., FitResult]:
        """What runs in place of `anabranch.training.fit`, each time as the next stage of a name."""
        return partial(self._fit, name)

    def _fit(
        self,
        name: str,
        model: nn.Module,
        *data: dict[str, Tensor],
        options: FitOptions,
        **further: Any,  # what else the loop takes
    ) -> FitResult:
        further["stage"] = NAMES[name]
        self.run.append(NAMES[name])
        if self.path is None:
            return fit(model, *data, options=options, **further)
        path = Path(f"{self.path}.{name}-{self.counts[name]}")
        self.counts[name] += 1
        # the checkpoint of a model that was started otherwise has the same shapes
        start = fingerprint(dict(model.state_dict()))
        return fit(
            model,
            *data,
            options=replace(options, checkpoint=path),
            resume=self.resume and path.exists(),
            identity={**self.identity, "start": start},
            **further,
        )

    def remove(self) -> None:
        """Remove the files of all stages."""
        for path in stage_files(self.path) if self.path is not None else ():
            path.unlink(missing_ok=True)


def stage_files(path: str | Path) -> list[Path]:
    """The checkpoints of stages that stand beside the path of the whole fit's.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("m.bound-1", "m.autoencoder-0", "m.csv", "n.bound-0"):
        ...     (folder / name).touch()
        >>> [file.name for file in stage_files(folder / "m")]
        ['m.autoencoder-0', 'm.bound-1']
    """
    path = Path(path)
    if not path.parent.is_dir():
        return []
    stage = re.compile(rf"{re.escape(path.name)}\.({'|'.join(NAMES)})-\d+")
    return sorted(file for file in path.parent.iterdir() if stage.fullmatch(file.name))
