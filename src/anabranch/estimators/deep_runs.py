"""Runs of a `DeepMixture`: each a model from its own start, trained."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.estimators.deep_plan import DeepPlan
from anabranch.estimators.flow_training import LastState
from anabranch.estimators.invariance import Lessons, teach
from anabranch.estimators.preparation import Preparation
from anabranch.estimators.rows import Rows
from anabranch.estimators.stages import Stages
from anabranch.models import GaussianMixtureVAE, nvisa
from anabranch.objectives import LatentMixtureBound
from anabranch.procedures.codes_start import start_from_codes, teach_classifier
from anabranch.training import FitResult

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


class DeepRun(NamedTuple):
    """A run that is over.

    Attributes:
        model: in the state that is kept.
        result: of the fit loop; its best score is that of the state that is kept.
        labels: what the start says of the rows, (n,); None for a random one.
    """

    model: GaussianMixtureVAE
    result: FitResult
    labels: Labels | None


class DeepRuns(NamedTuple):
    """Runs from the same rows, by the same plan.

    Attributes:
        plan: what a run does.
        train: rows that are trained on.
        held_out: rows that judge, (m, D).
        clusters: of the rows that are trained on, where they are known, (n, K).
        n_components: K.
        preparation: which spreads integers anew.
        stages: of the fit.
    """

    plan: DeepPlan
    train: Rows
    held_out: Tensor
    clusters: Array | None
    n_components: int
    preparation: Preparation
    stages: Stages

    def run(self, seed: int) -> DeepRun:
        """A model from its own start, trained."""
        plan, z = self.plan, self.train.z
        how, shape = plan.optimisation, (len(z), z.shape[1])
        recipe = plan.recipe(z.shape[1], self.n_components)
        model = nvisa(**recipe, seed=seed)  # pyright: ignore[reportArgumentType] - of plain values
        objective = plan.objective(model, z.shape[1], seed).to(how.device)
        labels = self._start(objective, model, seed)
        data = {"x": z.to(how.device, copy=True)}
        if self.train.targets is not None:
            data["targets"] = self.train.targets.to(how.device)
        last = LastState(model)
        result = self.stages.loop("bound")(
            objective,
            data,
            {"x": self.held_out},
            options=plan.options(len(z)),
            schedules=[
                *plan.schedules(objective, model.floor, shape),
                *([last] if how.keep == "last" else []),
            ],
            generator=torch.Generator().manual_seed(seed),
            noise=torch.Generator(how.device).manual_seed(seed),
            on_epoch=self._fresh_noise(data["x"], seed),
        )
        if how.keep == "last" and result.stopped != "diverged":
            last.restore(result)
        return DeepRun(model, result, labels)

    def _start(
        self, objective: LatentMixtureBound, model: GaussianMixtureVAE, seed: int
    ) -> Labels | None:
        """Set a model to its start; what that says of the rows."""
        plan, train = self.plan, self.train
        if plan.start.name == "random":
            return None
        x = train.z.to(plan.optimisation.device)
        targets = None if train.targets is None else train.targets.double().numpy()
        given = self.clusters
        if plan.start.name == "invariant":
            given = teach(model.classifier, x, self._lessons(objective), seed, targets)
        random_state = np.random.RandomState(seed)
        options = plan.start_options(len(x))
        classifier = self.stages.loop("classifier")
        R = start_from_codes(
            model,
            x,
            targets=targets,
            responsibilities=given,
            options=options,
            random_state=random_state,
            loops=(self.stages.loop("autoencoder"), classifier),
        )
        if self.clusters is not None:
            teach_classifier(model.classifier, x, R, options, random_state, classifier)
        return R.argmax(1)

    def _lessons(self, objective: LatentMixtureBound) -> Lessons:
        plan, penalty = self.plan, objective.penalty
        assert penalty is not None
        return Lessons(
            penalty.perturbation,
            self.n_components,
            penalty.balance / penalty.weight,
            plan.consistency.steps,
            plan.n_init,
            None if plan.optimisation.verbose else False,
            self.stages,
        )

    def _fresh_noise(self, x: Tensor, seed: int) -> Callable[[int], None] | None:
        """Spread integers anew before each epoch."""
        raw = self.train.raw
        if raw is None:
            return None
        return lambda epoch: self.preparation.renew(raw, x, seed + 1 + epoch)
