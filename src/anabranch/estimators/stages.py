"""Estimators whose fit runs the loop several times, with a checkpoint for each."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from numpy.typing import ArrayLike

from anabranch.estimators.estimator import Estimator
from anabranch.estimators.identity import settings_identity
from anabranch.procedures.stages import Stages, stage_files


class StagedEstimator(Estimator):
    """An estimator whose fit consists of stages; a subclass gives ``_fit``."""

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, *, resume: bool = False) -> Self:
        """Fit to rows.

        Args:
            X: (n, D) array or frame; images as rows of pixels.
            y: labels where known, -1 where not: (n,) integers, or (n, K) probabilities with rows
                of zeros where unknown. An estimator that learns from none warns of them.
            resume: continue the interrupted fit whose checkpoint ``fit_options`` names, with the
                same data and settings; it ends with the same bits. Each run of the fit loop has a
                file of its own, the name of the checkpoint with ".autoencoder-0", ".clusters-0",
                ... behind; they are removed in the end. What lies between, such as a mixture of
                codes, is run again, and so is "gmgan" as a whole.

        Returns:
            The estimator.

        Raises:
            ValueError: for data or settings that cannot be used; the message says why.

        Warns:
            CollapsedWarning: where a `DeepClustering` put all rows into one cluster.
            UnusedSettingWarning: for labels and settings that this fit does not use.
        """
        stages = self._stages(resume=resume)
        self._fit(X, y, stages)
        stages.remove()
        return self

    def fit_keeping_checkpoint(
        self, X: ArrayLike, y: ArrayLike | None = None, *, resume: bool = False, **given: Any
    ) -> Self:
        """Fit, and leave the checkpoints of the stages."""
        self._fit(X, y, self._stages(resume=resume), **given)
        return self

    @classmethod
    def checkpoint_files(cls, path: Path) -> list[Path]:
        """The files of the stages of an unfinished fit."""
        return stage_files(path)

    @abstractmethod
    def _fit(self, X: ArrayLike, y: ArrayLike | None, stages: Stages) -> None:
        """Fit by stages."""

    def _stages(self, *, resume: bool) -> Stages:
        """The stages of a fit, whose checkpoint ``fit_options`` names."""
        options = self.get_params(deep=False)["fit_options"]
        path = options.get("checkpoint") if isinstance(options, Mapping) else None
        told = settings_identity(self)
        return Stages(path, resume=resume, identity={"estimator": type(self).__name__, **told})
