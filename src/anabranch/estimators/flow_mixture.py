"""FlowMixture: GaussianMixture's contract, with flows for components."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from torch import Tensor

from anabranch.archive import Tree
from anabranch.data.parquet_rows import ParquetRows
from anabranch.distributions import ContaminatedMixture, Hedged
from anabranch.estimators.checks import check_rows
from anabranch.estimators.conditional_rows import ConditionalRows
from anabranch.estimators.estimator import Components, Json, State
from anabranch.estimators.fitted import module_from
from anabranch.estimators.given_start import (
    StartSource,
    check_same_model,
    responsibilities_of,
)
from anabranch.estimators.groups import (
    Group,
    accepts_old_names,
    read_group,
)
from anabranch.estimators.held_out import HeldOut
from anabranch.estimators.labels import check_targets
from anabranch.estimators.mixture_candidates import MixtureCandidates
from anabranch.estimators.mixture_plan import (
    GROUPS,
    OLD_NAMES,
    MixturePlan,
)
from anabranch.estimators.programs import CHECKED, MixtureScores, Prepared, Program
from anabranch.estimators.rows import Seed, as_weights, at, relative_weights, split_rows
from anabranch.estimators.streamed import check_streamable, class_targets, scan_rows, teaching
from anabranch.models import MixtureModel
from anabranch.models.counting import free_parameters
from anabranch.procedures.category_shift import CategoryShift
from anabranch.procedures.fit_flow_mixture import (
    ahead,
    train,
)
from anabranch.procedures.gaussian_guard import precise
from anabranch.procedures.mixture_options import ModelOptions, Spec
from anabranch.procedures.preparation import Preparing
from anabranch.procedures.stray_rows import broad_share
from anabranch.procedures.table_task import joint_of_known
from anabranch.training import FitResult

Array = NDArray[np.float64]
METHODS = ("exact", "network")


class FlowMixture(ConditionalRows, MixtureCandidates):
    r"""Mixture of normalizing flows: clusters of any shape, densities, samples.

    .. math:: p(x) = \sum_{k=1}^K \pi_k\, p(x \mid k)

    Before its first step the model *is* a Gaussian mixture, chosen on validation rows. Each flow is
    hedged with its Gaussian, :math:`p(x \mid k) = a f_k(x) + (1 - a) g_k(x)`, so that no row falls
    more than :math:`-\log(1 - a)` below the start, and the flows are kept only where their gain on
    validation rows exceeds two standard errors: held out, it is not worse than a `GaussianMixture`.

    A few rows that stand apart from all others, such as 99999 for a missing value, are not trained
    on: a broad density beside the components is theirs (``model_options["contamination"]``), and
    the components are those of the fit without them.

    Args:
        n_components: K; None for as many as there are classes in y, or one; "auto" to begin with
            many and take out those that are not worth their cost.
        flow: recipe of the components, a name such as "realnvp" or "maf", or {"name": ...,
            keyword: value}, or a list of K of them; None for Gaussians.
        inference: "exact" likelihood; "variational" bound with a network q(c|x) (VMoNF); or
            "invariant", where q learns first, by answering alike for perturbed rows: for images.
        model_options: rare settings of the model, such as {"weights": "uniform"}, or {"levels":
            256} for images of bytes; see `anabranch.procedures.mixture_options.ModelOptions`.
        covariance_type: of the start: "full", "tied", "diag", "spherical", or "auto" to choose
            among them and shrunk ones on validation rows.
        init_params: "kmeans", "gmm", "random", "spectral" (gaps in a neighbourhood graph), or
            "auto" to compare them; where each class has labels, those spread over the graph.
        n_init: draws of the start; the best on validation rows is kept.
        start: where to begin instead: labels (n,), responsibilities (n, K), a fitted estimator
            with ``predict_proba``, or "last" to go on from the last fit.
        temperature: of q in variational inference, {"decay": 1e-3, "floor": 1e-2, "unit": "step"}.
        consistency: that q answers alike for perturbed rows, {"weight": 1.0, "perturbation":
            "noise", "balance": 0.2, "steps": 2000}; none but in invariant inference.
        semi_supervised: how labels teach, {"order": "joint", "pretrain_epochs": 0,
            "label_weight": 1.0}.
        columns: None for numbers, all real; "auto", or a dict from columns to kinds, as in
            `GaussianMixture`: a component is then a flow of the real columns times probabilities
            of the categories, all learned together. Beside ("circle", period) there is {"place":
            ("latlon", "lat", "lon")} for two columns of degrees; then it is a `product_density`.
        missing: "refuse", or "marginal" to sum missing cells out: exactly for Gaussians and
            categories; a flow learns from draws of its start's exact conditional, new ones each
            epoch, and is scored by importance sampling from it.
        learning_rate: of AdamW; "auto" for 0.01, and less for fewer than two thousand rows.
        batch_size: rows per step, at most; a quarter of the rows where there are few.
        max_epochs: upper limit; 0 leaves the Gaussian mixture.
        fit_options: rare settings of training, {"patience": 4, "validation_fraction": 0.15,
            "weight_decay": 0.0, "snapshots": 0, "keep": "best"} and those of
            `anabranch.training.FitOptions`.
        device: "cpu", "cuda", ...
        random_state: seed or `numpy.random.RandomState`; the same seed on the same machine gives
            the same bits.
        verbose: 1 shows progress.

    After ``patience`` evaluations without improvement the learning rate falls to zero, and the run
    ends; with None it falls along a cosine over ``max_epochs``. ``snapshots`` are states of the
    model to keep over the training, at most, for an animation of it
    (`anabranch.reports.save_animation`). ``keep`` is "best" for the best state on rows held out, or
    the Gaussian mixture where no flow beats it; "last" for the last state, whatever it is worth.

    Attributes:
        n_components_: K.
        weights_: (K,) mixture weights.
        lower_bound_: best validation score, mean log-density in nats, or the bound.
        converged_: whether training stopped because nothing improved.
        n_iter_: epochs run.
        history_: one dict per evaluation, see `anabranch.training.fit`.
        start_: name of the Gaussian start that was kept.
        contamination_: share of a broad density beside the components, for rows that belong to
            none of them; 0 where there is none.
        snapshots_: list of (step, state of ``model_``), evenly spaced over the training.
        model_: the `MixtureModel`, in evaluation mode.
        preparation_: the fixed transform before it.

    Source: Pires, Figueiredo (2020), "Variational mixture of normalizing flows", arXiv:2009.00585.

    Example:
        >>> from sklearn.datasets import make_moons
        >>> X, _ = make_moons(200, noise=0.05, random_state=0)
        >>> mixture = FlowMixture(n_components=2, max_epochs=5, random_state=0).fit(X)
        >>> mixture.predict(X).shape, mixture.score_samples(X).shape
        ((200,), (200,))
    """

    groups: ClassVar[Mapping[str, type]] = GROUPS
    old_names: ClassVar[Mapping[str, str]] = OLD_NAMES

    @classmethod
    def current_value(cls, name: str, value: object) -> object:
        """A warm start is one that goes on from the last fit."""
        return ("last" if value else None) if name == "warm_start" else value

    @accepts_old_names
    def __init__(
        self,
        n_components: int | str | None = None,
        *,
        flow: Spec | Sequence[Spec | None] | None = "realnvp",
        inference: str = "exact",
        model_options: Group | None = None,
        covariance_type: str = "auto",
        init_params: str = "auto",
        n_init: int = 1,
        start: StartSource | None = None,
        temperature: Group | None = None,
        consistency: Group | None = None,
        semi_supervised: Group | None = None,
        columns: object = None,
        missing: str = "refuse",
        learning_rate: float | str = "auto",
        batch_size: int = 512,
        max_epochs: int = 500,
        fit_options: Group | None = None,
        device: str = "cpu",
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.flow = flow
        self.inference = inference
        self.model_options = model_options
        self.covariance_type = covariance_type
        self.init_params = init_params
        self.n_init = n_init
        self.start = start
        self.temperature = temperature
        self.consistency = consistency
        self.semi_supervised = semi_supervised
        self.columns = columns
        self.missing = missing
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.fit_options = fit_options
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # -- fitting ---------------------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike | ParquetRows,
        y: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        X_val: ArrayLike | None = None,
        resume: bool = False,
    ) -> Self:
        """Fit the mixture.

        Args:
            X: (n, D) array or frame; or `anabranch.data.ParquetRows` of files that are larger than
                memory, labels and weights among them: starts are searched on a sample, epochs go
                through all rows.
            y: labels where known, -1 where not: (n,) integers, or (n, K) probabilities with rows
                of zeros where unknown. A labelled row teaches its component and q.
            sample_weight: (n,) what each row counts, as if it were there so many times, wherever a
                mean over rows is taken; columns are standardised by all of them alike. None for
                one.
            X_val: rows to choose the start and the best state on, instead of a share of X.
            resume: continue the interrupted fit whose checkpoint ``fit_options`` names, with the
                same data and settings; it ends with the same bits.

        Returns:
            The estimator.

        Raises:
            ValueError: for data or settings that cannot be used; the message says why.

        Warns:
            UnusedSettingWarning: for settings that this fit does not use.
        """
        plan, scan, table = self._plan(), None, cast(Any, X)
        if isinstance(X, ParquetRows):
            check_streamable(plan, X)
            given = {"y": y, "sample_weight": sample_weight, "X_val": X_val}
            given |= {"columns": self.columns, "start": self.start}
            scan = scan_rows(X, plan.optimisation.validation_fraction, given)
            table, X_val = scan.frames
            sample_weight, y = scan.sample.weights, scan.labels.values
        X = self._validated(table, reset=True)
        teach = None
        if scan is None:
            targets, n_components = check_targets(y, len(X), plan.wanted)
        else:
            teach, n_components = class_targets(scan.labels, plan.wanted)
            targets = teach(scan.sample.labels)
        if plan.is_auto and targets is not None:
            raise ValueError("n_components='auto' finds as many as there are: leave y out")
        self._keep_classes(y, targets, plan.wanted)
        check_rows(len(X), n_components)
        plan.check_weights(n_components)
        plan.options(len(X))  # wrong ones are refused before the search for a start
        plan.warn_unused(labelled=targets is not None)
        weights = relative_weights(sample_weight, len(X))
        if weights is not None:
            plan.check_weighted()
        random_state = check_random_state(self.random_state)
        plan, outside = self._fenced(plan, X, targets, weights)
        near = np.flatnonzero(~outside(X) & (True if weights is None else weights > 0))
        W_val, apart = None, None
        if X_val is None:
            share = plan.optimisation.validation_fraction
            rows, held_out = split_rows(len(near), at(targets, near), share, random_state)
            apart = HeldOut.of(X, near[held_out])
            judging = near[held_out] if len(held_out) else near
            V, W_val = X[judging], at(weights, judging)
            check_rows(len(X), n_components, len(rows))
            rows = near[rows]
        else:
            rows, V = near, self._validated(X_val, reset=False)
            W_val = None if scan is None else relative_weights(scan.judging.weights, len(V))
            kept = np.flatnonzero(~outside(V))
            V, W_val = (V[kept], at(W_val, kept)) if len(kept) else (V, W_val)
        targets = at(targets, rows)
        other, given = self._beginning(plan, table if self.is_table else X, n_components)
        given = at(given, rows)
        task = self._task(plan, X[rows], V, targets, other, random_state)
        task.rows.weights, task.validation.weights = (
            as_weights(at(weights, rows)),
            as_weights(W_val),
        )
        if scan is not None and teach is not None:
            complete = teaching(teach, outside if plan.contamination else None)
            task = replace(task, stream=self._stream(scan, task.options, complete))
        if other is not None:
            candidate = self._gone_on(plan, task, other)
        else:
            starts = self._starts(plan, task, X[rows], n_components, given, random_state)
            candidate = ahead(starts, task)
            candidate = self._fewer(plan, candidate, task) if plan.is_auto else candidate
        trained = train(candidate, task, resume=resume)
        self._keep(candidate.name, candidate.model, trained.result, trained.snapshots)
        self.held_out_ = apart
        return self

    def _plan(self) -> MixturePlan:
        """The settings, checked."""
        return MixturePlan.of(self)

    def _beginning(
        self, plan: MixturePlan, X: ArrayLike, n_components: int
    ) -> tuple["FlowMixture | None", Array | None]:
        """The fit to go on from, or the responsibilities to begin with; neither for a search."""
        start, other = plan.start, self._earlier(plan.start, FlowMixture)
        if other is not None:
            n_components = other.n_components_ if plan.is_auto else n_components
            same = other.n_features_in_ == self.n_features_in_
            width = other._width if same else self.n_features_in_
            recipe = self._recipe(plan, width, n_components, other.layout)
            if plan.model_options.contamination == "auto":
                recipe.pop("contamination", None)  # it has what it has
            check_same_model(other.model_, recipe)
        elif start is not None and not (isinstance(start, str) and start == "last"):
            plan.check_given_start()
            return None, responsibilities_of(start, X, n_components)  # pyright: ignore
        return other, None

    def _keep(
        self,
        name: str,
        model: MixtureModel,
        result: FitResult,
        snapshots: list[tuple[int, dict[str, Tensor]]],
    ) -> None:
        self._keep_run(model, result)
        self.start_, self.snapshots_ = name, snapshots
        self.n_components_ = model.mixture.n_components
        self.weights_ = model.mixture.log_weights.detach().cpu().double().exp().numpy()
        mixture = model.mixture
        self.contamination_ = (
            float(mixture.share) if isinstance(mixture, ContaminatedMixture) else 0.0
        )

    @property
    def levels(self) -> int | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How many levels integer data have, as ``model_options`` says; None for real numbers."""
        return self._preparing().levels

    def _preparing(self) -> Preparing:
        settings = read_group("model_options", self.model_options, ModelOptions)
        return Preparing(settings.levels, settings.logit_alpha, settings.reg_covar)

    # -- using -----------------------------------------------------------------------------------

    def predict_proba(self, X: ArrayLike, *, method: str | None = None) -> Array:
        """Probabilities of the components for each row, (n, K).

        Args:
            X: (n, D).
            method: "exact" for p(c|x) by Bayes' rule, "network" for q(c|x); by default the one
                that was trained: p in exact inference, q otherwise.
        """
        if self._method(method) == "network":
            parts = [self._log_q(seen).exp() for seen in self._seen(X)]
        else:
            parts = [torch.softmax(self._joint(rows.z), 0) for rows in self._batches(X)]
        return torch.cat(parts, 1).mT.cpu().numpy()

    def predict_log_proba(self, X: ArrayLike, *, method: str | None = None) -> Array:
        """Logarithms of `predict_proba`, (n, K), which do not underflow; arguments as there."""
        if self._method(method) == "network":
            parts = [self._log_q(seen) for seen in self._seen(X)]
        else:
            parts = [torch.log_softmax(self._joint(rows.z), 0) for rows in self._batches(X)]
        return torch.cat(parts, 1).mT.cpu().numpy()

    def _method(self, method: str | None) -> str:
        """Which posterior tells the component; the one that was trained where none is asked for."""
        method = method or ("exact" if self.inference == "exact" else "network")
        if method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {method!r}")
        return method

    def score_samples(self, X: ArrayLike) -> Array:
        """Log-density of each row, in nats and in the units of X, (n,).

        Of a table of mixed columns, the log of a density of real columns times a probability of
        categories; a whole number counts with the density at a place of its cell, of width one,
        which in expectation bounds its log-probability from below; a missing cell with nothing.
        """
        parts = [
            torch.logsumexp(self._joint(rows.z), 0).cpu() + rows.term for rows in self._batches(X)
        ]
        return torch.cat(parts).numpy()

    def contamination_proba(self, X: ArrayLike) -> Array:
        """The probability that each row belongs to no component, (n,).

        By Bayes' rule from the broad density beside them (``contamination_``); zeros where there is
        none. ``predict`` gives -1 to rows where it exceeds one half, if it is asked for outliers.

        Example:
            >>> X = np.random.RandomState(0).randn(200, 2)
            >>> options = {"contamination": 0.01}
            >>> mixture = FlowMixture(1, flow=None, model_options=options, random_state=0).fit(X)
            >>> mixture.contamination_proba([[0.0, 0.0], [1e4, 0.0]]).round(2)
            array([0., 1.])
        """
        parts = [
            broad_share(self.model_.mixture, rows.z, torch.logsumexp(self._joint(rows.z), 0))
            for rows in self._batches(X)
        ]
        return torch.cat(parts).cpu().numpy()

    def _strange(self, X: ArrayLike) -> NDArray[np.bool_]:
        return self.contamination_proba(X) > 0.5

    def _draw(
        self, n: int, component: int | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        mixture = self.model_.mixture
        if component is None:
            return mixture.sample_with_labels(n, generator=generator)
        z = mixture.component(component).sample(n, generator=generator)
        return z, torch.full((n,), component)

    def _n_parameters(self) -> int:
        """Free parameters of the density; the posterior network is no part of it."""
        mixture, k = self.model_.mixture, self.n_components_
        plan = self._plan()
        # its share stands among the parameters, and where it is given nothing was fitted
        given = isinstance(mixture, ContaminatedMixture) and plan.given_contamination is not None
        if plan.given_weights(k) is None:
            return free_parameters(mixture) - 1 - given
        # where weights are fixed, all components of a hedged mixture have one share
        shares = k - 1 if isinstance(mixture.groups[0], Hedged) else 0
        return free_parameters(mixture) - k - shares - given

    @torch.no_grad()
    def _log_q(self, z: Tensor) -> Tensor:
        return self.model_.log_q(z).double()

    def _joint(self, z: Tensor) -> Tensor:
        """Log p(x, c), (K, n) in float64; missing cells are summed out."""
        shift = self._moves
        column = None if shift is None else shift.lacking(z)
        if shift is not None and column is not None:
            return self._over_categories(z, shift, column)
        gaps = z[:, : self.model_features].isnan().any(1)
        if not bool(gaps.any()):
            return self._whole_joint(z)
        joint = torch.empty((self.n_components_, len(z)), dtype=torch.float64, device=z.device)
        joint[:, ~gaps] = self._whole_joint(z[~gaps])
        proposal = getattr(self.preparation_, "proposal", None)
        joint[:, gaps] = joint_of_known(self.model_.mixture, proposal, z[gaps])
        return joint

    def _over_categories(self, z: Tensor, shift: CategoryShift, column: int) -> Tensor:
        """The same where the category of a column, which moves others, is missing in some rows."""
        joint = torch.empty((self.n_components_, len(z)), dtype=torch.float64, device=z.device)
        gaps = z[:, self.model_features + column].isnan()
        parts = [self._joint(filled) for filled in shift.filled(z[gaps], column)]
        joint[:, gaps] = torch.stack(parts).logsumexp(0)
        if not bool(gaps.all()):
            joint[:, ~gaps] = self._joint(z[~gaps])
        return joint

    def _whole_joint(self, z: Tensor) -> Tensor:
        return precise(lambda mixture, x, _: mixture.joint_log_prob(x), self.model_.mixture, z)

    def program(self) -> Program:
        """Joint log-densities, log-density and posterior as one module; see `Estimator.program`."""
        self._check_plain()
        X = self.sample(CHECKED, random_state=0)[0]
        prepared = Prepared(self.preparation_.transform, self.levels)
        log_q = None if self._method(None) == "exact" else self.model_
        scores = MixtureScores(self.model_.mixture, prepared, log_q)
        said = {"log_prob": self.score_samples(X), "posterior": self.predict_proba(X)}
        return Program(scores, {"x": X}, said)

    # -- what it says of itself ------------------------------------------------------------------

    takes_labels: ClassVar[bool] = True
    takes_streams: ClassVar[bool] = True
    posteriors: ClassVar[tuple[str, ...]] = METHODS
    components: ClassVar[Components] = "searched"

    def facts(self) -> dict[str, Json]:
        """What there is to know of a fit; see `Estimator.facts`."""
        bound = {"score_is": "validation bound"} if self.inference == "variational" else {}
        broad = {"contamination": self.contamination_} if self.contamination_ else {}
        return super().facts() | bound | {"start": self.start_} | broad

    def state(self) -> dict[str, Tree]:
        """What ``fit`` has found; see `Estimator.state`."""
        snapshots = [{"step": step, "state": state} for step, state in self.snapshots_]
        return super().state() | {"start": self.start_, "snapshots": snapshots}

    def _restore(self, state: State) -> None:
        super()._restore(state)
        snapshots = [(item["step"], item["state"]) for item in state["snapshots"]]
        model, result = module_from(state["model"]), FitResult(**state["result"])
        self._keep(state["start"], model, result, snapshots)
