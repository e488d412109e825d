"""RAD: clusters as the discrete code of one flow with folds."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from torch import Tensor

from anabranch.archive import Tree
from anabranch.distributions import Flow
from anabranch.estimators.density_plan import FlowPlan
from anabranch.estimators.estimator import State
from anabranch.estimators.fitted import module_from
from anabranch.estimators.given_start import check_no_start, check_same_model
from anabranch.estimators.groups import Group, accepts_old_names
from anabranch.estimators.prepared import PreparedEstimator
from anabranch.estimators.programs import CHECKED, FoldScores, Prepared, Program
from anabranch.estimators.rows import Seed, split_rows
from anabranch.estimators.unused import warn_unused
from anabranch.functional.numbers import (
    check_choice,
    check_sizes,
    check_whole,
    real,
)
from anabranch.models import rad
from anabranch.models.counting import free_parameters
from anabranch.models.mixtures.rad import FOLDS
from anabranch.procedures.fit_flow_density import DensityTask, fit_likelihood, precise_log_prob
from anabranch.procedures.optimisation import flow_options
from anabranch.training import FitResult
from anabranch.transforms import fold_codes

Array = NDArray[np.float64]
# Draws of whole samples, at most, in search of rows of one component.
MAX_ROUNDS = 200


@dataclass(frozen=True, kw_only=True)
class RADPlan(FlowPlan):
    """The settings of a `RAD`, checked; see there."""

    n_folds: int
    fold: str
    n_between: int
    n_last: int
    hidden: Sequence[int]
    min_share: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, ("n_folds",), 1)
        check_whole(self, ("n_between", "n_last"), 0)
        check_choice(self, "fold", tuple(FOLDS))
        check_sizes("hidden", self.hidden)
        if not 0 <= real(self.min_share) < 1:
            raise ValueError(f"min_share must be in [0, 1), got {self.min_share!r}")

    def recipe(self, n_features: int) -> dict[str, Any]:
        """The arguments of `anabranch.models.rad`."""
        return {
            "features": n_features,
            "n_folds": int(self.n_folds),
            "fold": self.fold,
            "n_between": int(self.n_between),
            "n_last": int(self.n_last),
            "hidden": [int(size) for size in self.hidden],
        }


class RAD(PreparedEstimator):
    r"""One flow with folds, whose branches are the clusters.

    .. math:: p(x) = p_Z(f(x)) \prod_l p(k_l(x) \mid z_l)\, |\det|

    Each fold lays two or three pieces of the space over each other; the pieces that all folds cut
    out together are the clusters, numbered by their mass. A point lies in exactly one of them, so
    that probabilities are 0 or 1. The number of clusters is found: at most 2 or 3 to the power of
    ``n_folds``.

    Args:
        n_folds: folds.
        fold: "absolute" for two branches each, "tri" for three.
        n_between: couplings between two folds.
        n_last: couplings behind the last fold.
        hidden: hidden sizes of the couplings' networks.
        min_share: pieces that hold a smaller share of the training rows are no clusters of their
            own; their points go to the cluster whose code differs in the fewest folds.
        n_init: starts, each trained; the best on validation rows is kept.
        start: a fitted `RAD` with the same flow whose training goes on, or "last" for the last fit
            of this one.
        reg_covar: variance given to constant columns, in units of the standardised columns.
        learning_rate: of AdamW; "auto" for 0.01, and less for fewer than two thousand rows.
        batch_size: rows per step, at most; a quarter of the rows where there are few.
        max_epochs: upper limit.
        fit_options: rare settings of training, as in `FlowDensity`.
        device: "cpu", "cuda", ...
        random_state: seed or `numpy.random.RandomState`; the same seed on the same machine gives
            the same bits.
        verbose: 1 shows progress.

    Attributes:
        n_components_: clusters found.
        codes_: (K, n_folds) the branches of each cluster.
        weights_: (K,) shares of the training rows.
        lower_bound_: best validation score, mean log-density in nats.
        converged_: whether training stopped because nothing improved.
        n_iter_: epochs run.
        history_: one dict per evaluation, see `anabranch.training.fit`.
        model_: the `Flow`, in evaluation mode.
        preparation_: the fixed transform before it.

    Source: Dinh, Sohl-Dickstein, Larochelle, Pascanu (2019), "A RAD approach to deep mixture
    models", arXiv:1903.07714.

    Example:
        >>> from sklearn.datasets import make_moons
        >>> X, _ = make_moons(200, noise=0.05, random_state=0)
        >>> model = RAD(n_folds=2, max_epochs=3, random_state=0).fit(X)
        >>> model.predict(X).shape, model.score_samples(X).shape
        ((200,), (200,))
    """

    logit_alpha = 1e-6
    groups: ClassVar[Mapping[str, type]] = {"fit_options": dict}
    old_names: ClassVar[Mapping[str, str]] = FlowPlan.old_names

    @accepts_old_names
    def __init__(
        self,
        n_folds: int = 3,
        *,
        fold: str = "absolute",
        n_between: int = 2,
        n_last: int = 4,
        hidden: Sequence[int] = (32,),
        min_share: float = 0.01,
        n_init: int = 1,
        start: object = None,
        reg_covar: float = 1e-6,
        learning_rate: float | str = "auto",
        batch_size: int = 512,
        max_epochs: int = 300,
        fit_options: Group | None = None,
        device: str = "cpu",
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.n_folds = n_folds
        self.fold = fold
        self.n_between = n_between
        self.n_last = n_last
        self.hidden = hidden
        self.min_share = min_share
        self.n_init = n_init
        self.start = start
        self.reg_covar = reg_covar
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.fit_options = fit_options
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Fit the flow, and number its pieces.

        Args:
            X: (n, D) array or frame.
            y: not used: the clusters are what the folds cut out.

        Returns:
            The estimator.

        Raises:
            ValueError: for data or settings that cannot be used; the message says why.

        Warns:
            UnusedSettingWarning: for labels.
        """
        X = self._validated(X, reset=True)
        plan = RADPlan.of(self)
        flow_options(plan.optimisation, len(X))  # wrong ones are refused before any work
        if y is not None:
            warn_unused("y", "the clusters of a RAD are what its folds cut out")
        state = check_random_state(self.random_state)
        share = plan.optimisation.validation_fraction
        rows, held_out = split_rows(len(X), None, share, state)
        seed = int(state.randint(2**30 - 1))
        other = self._earlier(plan.start, RAD)
        if other is None:
            check_no_start(plan.start, "RAD")
            self._prepare(X[rows], seed)
        else:
            check_same_model(other.model_, plan.recipe(X.shape[1]))
            self.preparation_, self.constant_ = other.preparation_, other.constant_
        train = self._rows(X[rows], None, state)
        validation = self._rows(X[held_out] if len(held_out) else X[rows], None, state)
        task = DensityTask(
            plan.optimisation, plan.reg_covar, train, validation, self.preparation_, seed
        )
        if other is None:
            flows = [self._started(plan, task, seed + i) for i in range(plan.n_init)]
        else:
            flows = [copy.deepcopy(other.model_).to(self._device)]
        runs = [
            (flow, fit_likelihood(flow, replace(task, seed=seed + i)))
            for i, flow in enumerate(flows)
        ]
        self._keep_run(*min(runs, key=lambda run: run[1].best_score))
        self._number(train.z)
        return self

    def _started(self, plan: RADPlan, task: DensityTask, seed: int) -> Flow:
        flow = rad(**plan.recipe(task.rows.z.shape[1]), seed=seed)
        flow.transform.initialize(task.rows.z)
        return flow.to(self._device)

    def predict_proba(self, X: ArrayLike, *, method: str | None = None) -> Array:
        """The cluster of each row as probabilities of 0 and 1, (n, K)."""
        self._check_exact(method)
        labels = [self._labels(rows.z) for rows in self._batches(X)]
        return np.eye(self.n_components_)[np.concatenate(labels)]

    def score_samples(self, X: ArrayLike) -> Array:
        """Log-density of each row, in nats and in the units of X, (n,)."""
        parts = [
            precise_log_prob(self.model_, rows.z).cpu() + rows.term for rows in self._batches(X)
        ]
        return torch.cat(parts).numpy()

    def _number(self, z: Tensor) -> None:
        """Number the codes of the training rows by mass."""
        codes, counts = np.unique(self._codes(z), axis=0, return_counts=True)
        large = counts >= min(self.min_share * len(z), counts.max())
        order = np.argsort(-counts[large], kind="stable")
        self.codes_ = codes[large][order]
        self.n_components_ = len(order)
        shares = np.bincount(self._labels(z), minlength=self.n_components_)
        self.weights_ = shares / shares.sum()

    @torch.no_grad()
    def _codes(self, z: Tensor) -> NDArray[np.int64]:
        return fold_codes(self.model_.transform, z.to(self._device)).cpu().numpy()

    def _labels(self, z: Tensor) -> NDArray[np.int64]:
        """The cluster with the nearest code, the larger one where two are as near."""
        differs = self._codes(z)[:, None] != self.codes_
        return differs.sum(-1).argmin(1)

    def _draw(
        self, n: int, component: int | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        if component is None:
            z = self.model_.sample(n, generator=generator)
            return z, torch.as_tensor(self._labels(z))
        return self._draws_of(n, component, generator), torch.full((n,), component)

    def _draws_of(self, n: int, component: int, generator: torch.Generator) -> Tensor:
        found: list[Tensor] = []
        for _ in range(MAX_ROUNDS):
            z = self.model_.sample(max(4 * n, 1000), generator=generator)
            found.append(z[torch.as_tensor(self._labels(z) == component, device=z.device)])
            if sum(map(len, found)) >= n:
                return torch.cat(found)[:n]
        raise ValueError(f"component {component} has next to no mass in the model: none to draw")

    def program(self) -> Program:
        """Log-density, latents and cluster as one module; see `Estimator.program`."""
        X = self.sample(CHECKED, random_state=0)[0]
        scores = FoldScores(self.model_, Prepared(self.preparation_.transform), self.codes_)
        said = {"log_prob": self.score_samples(X), "posterior": self.predict_proba(X)}
        return Program(scores, {"x": X}, said)

    def _n_parameters(self) -> int:
        return free_parameters(self.model_)

    # -- what it says of itself ------------------------------------------------------------------

    def state(self) -> dict[str, Tree]:
        """What ``fit`` has found; see `Estimator.state`."""
        codes, weights = torch.as_tensor(self.codes_), torch.as_tensor(self.weights_)
        return super().state() | {"codes": codes, "weights": weights}

    def _restore(self, state: State) -> None:
        super()._restore(state)
        self._keep_run(module_from(state["model"]), FitResult(**state["result"]))
        self.codes_, self.weights_ = state["codes"].numpy(), state["weights"].numpy()
        self.n_components_ = len(self.codes_)
