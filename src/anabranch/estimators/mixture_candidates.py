"""The models that a fit of a mixture of flows begins with."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from anabranch.algorithms.gaussians import GaussianStart, hard_start, is_small
from anabranch.algorithms.mixed_gaussians import MixedRows
from anabranch.estimators.checks import column_names
from anabranch.estimators.column_warnings import warn_set_apart
from anabranch.estimators.mixture_plan import MixturePlan
from anabranch.estimators.table_prepared import TablePrepared
from anabranch.models import MixtureModel, flow_mixture
from anabranch.objectives import MixtureObjective
from anabranch.procedures.fit_by_rows import sets_by_rows
from anabranch.procedures.fit_flow_mixture import Candidate, MixtureTask, teach_invariance
from anabranch.procedures.flow_annihilation import annihilated, hedged_with, responsibilities
from anabranch.procedures.mixture_starts import (
    Start,
    StartRows,
    initialize_components,
    make_starts,
    set_categories,
    set_start,
)
from anabranch.procedures.product_preparation import Layout
from anabranch.procedures.product_starts import (
    ProductSearch,
    ProductStart,
    product_rows,
    set_product_mixture,
)
from anabranch.procedures.stray_rows import Fence, learn_contamination
from anabranch.procedures.table_task import shifted_starts, table_starts

Array = NDArray[np.float64]


class MixtureCandidates(TablePrepared):
    """A mixture of flows whose fit compares models at several starts, or goes on from another."""

    device: str
    start_: str

    def _fenced(
        self, plan: MixturePlan, X: Array, targets: Array | None, weights: Array | None
    ) -> tuple[MixturePlan, Callable[[Array], NDArray[np.bool_]]]:
        """The plan that knows how many rows stand apart from all others, and what tells them."""
        if self.is_table and self._curved() is not None:
            if plan.given_contamination:
                raise ValueError("contamination is for numbers: leave it at 'auto' beside angles")
            return plan, lambda rows: np.zeros(len(rows), bool)
        if plan.model_options.levels is not None or plan.given_contamination == 0:
            return plan, lambda rows: np.zeros(len(rows), bool)
        on_the_line = self._on_the_line(X)
        labelled = None if targets is None else np.asarray(targets.any(1), bool)
        fence = Fence.of(on_the_line(X), labelled)

        def outside(rows: Array) -> NDArray[np.bool_]:
            return fence.outside(on_the_line(rows))

        stray = outside(X)
        coding = vars(self).get("coding_")
        names = column_names(self, X.shape[1]) if coding is None else coding.encoded_names
        warn_set_apart(X, stray, names)
        n_stray = stray.sum() if weights is None else weights[stray].sum()
        return replace(plan, n_stray=float(n_stray)), outside

    def _task(
        self,
        plan: MixturePlan,
        X: Array,
        V: Array,
        targets: Array | None,
        other: "MixtureCandidates | None",
        random_state: np.random.RandomState,
    ) -> MixtureTask:
        """Rows as the flows see them."""
        seed = int(random_state.randint(2**31 - 1))
        if other is None:
            self._prepare(X, seed)
        else:
            self.preparation_, self.constant_ = other.preparation_, other.constant_
        rows = self._rows(X, targets, random_state)
        validation = self._rows(V, None, random_state)
        if other is not None:
            self._complete(rows, validation, seed)
        return MixtureTask(plan, rows, validation, targets, self.preparation_, seed)

    def _gone_on(
        self, plan: MixturePlan, task: MixtureTask, other: "MixtureCandidates"
    ) -> Candidate:
        """The model of another fit, as it was left."""
        # the last model of this estimator is trained as it is, that of another one is left alone
        model = self.model_ if other is self else copy.deepcopy(other.model_).to(self._device)
        objective = self._objective(plan, model, task.rows.z.shape[1])
        return Candidate(other.start_, objective, copy.deepcopy(model.state_dict()), task.noise())

    def _fewer(self, plan: MixturePlan, candidate: Candidate, task: MixtureTask) -> Candidate:
        """With the components that annihilation leaves, and the Gaussians of what they own."""
        if sets_by_rows(candidate.model):
            raise ValueError(
                f"n_components='auto' takes components out by gradients, and flow={plan.flow!r} "
                "has none: give a number"
            )
        candidate = annihilated(candidate, task)
        R = responsibilities(candidate.model, task.rows)
        Z, V = task.rows.z.double().numpy(), task.validation.z.double().numpy()
        options = plan.start_options(R.shape[1])
        start = hard_start(candidate.name, Z, V, R, options, task.weights)
        gaussian = self._candidate(plan, task, R.shape[1], candidate.name).model
        self._set(gaussian, start, plan, task)
        self._contaminate(gaussian, plan, task)
        return hedged_with(candidate, gaussian)

    def _starts(
        self,
        plan: MixturePlan,
        task: MixtureTask,
        X: Array,
        n_components: int,
        given: Array | None,
        random_state: np.random.RandomState,
    ) -> Iterator[tuple[Candidate, Start | ProductStart]]:
        """Models set to the starts to compare, and the starts."""
        if self.layout is not None:
            if task.weights is not None:
                raise ValueError("a table with angles or places takes no sample_weight yet")
            search = self._product_search(plan, task, self.layout, n_components, random_state)
            start = search.best(plan.init_params, plan.n_init, given)
            yield self._product_begun(plan, task, start), start
            return
        if self.is_table:
            given_start = None if given is None else ("given", given)
            yield from self._table_starts(plan, task, n_components, given_start, random_state)
            return
        rows = task.rows
        Z = rows.z.double().numpy()
        name, network = "given", None
        if plan.inference == "invariant":
            name = "invariant"
            blank = self._candidate(plan, task, n_components, name)
            given = teach_invariance(blank.objective, task)
            network = blank.model.posterior.state_dict()
        V, features = task.validation.z.double().numpy(), self.preparation_.start_features(X, Z)
        starts = make_starts(
            StartRows(Z, V, features, task.targets, task.weights),
            plan.start_options(n_components),
            init_params=plan.init_params,
            n_init=1 if given is not None else plan.n_init,
            random_state=random_state,
            given=None if given is None else (name, given),
        )
        for start in starts:
            candidate = self._begun(plan, task, start.gaussian, start)
            if network is not None:
                candidate.model.posterior.load_state_dict(network)
                candidate.stages.append("teach q")
            yield candidate, start

    def _table_starts(
        self,
        plan: MixturePlan,
        task: MixtureTask,
        n_components: int,
        given: tuple[str, Array] | None,
        random_state: np.random.RandomState,
    ) -> list[tuple[Candidate, Start]]:
        """The same of a table of mixed columns, whose missing cells the best one then fills."""
        rows, V = (
            MixedRows(part.z.double().numpy(), self._levels, targets, part.counts)
            for part, targets in ((task.rows, task.targets), (task.validation, None))
        )
        options = plan.start_options(n_components)
        search = partial(
            table_starts,
            options=options,
            init_params=plan.init_params,
            n_init=1 if given is not None else plan.n_init,
            random_state=random_state,
            given=given,
        )
        starts = search(rows, V)
        if plan.model_options.local_dependence:
            shift, starts = shifted_starts(starts, rows, V, options, search)
            self._shift(shift, task.rows, task.validation)
        self._propose(starts[0][0].parameters)
        self._complete(task.rows, task.validation, task.seed)
        candidates = []
        for mixed, start in starts:
            candidate = self._begun(plan, task, mixed.gaussian, start, mixed.parameters.factors)
            candidates.append((candidate, start))
        return candidates

    def _product_search(
        self,
        plan: MixturePlan,
        task: MixtureTask,
        layout: Layout,
        n_components: int,
        random_state: np.random.RandomState,
    ) -> ProductSearch:
        """What starts are made from where some columns are angles or places."""
        self._complete(task.rows, task.validation, task.seed)
        rows, V = (
            product_rows(part.z.double().numpy(), layout.blocks, self._levels)
            for part in (task.rows, task.validation)
        )
        options = plan.start_options(n_components)
        return ProductSearch(rows, V, task.targets, options, random_state)

    def _product_begun(
        self, plan: MixturePlan, task: MixtureTask, start: ProductStart
    ) -> Candidate:
        """A new model at the simple components of a start."""
        n_components = start.responsibilities.shape[1]
        candidate = self._candidate(plan, task, n_components, start.name)
        weights = plan.given_weights(n_components)
        set_product_mixture(candidate.model, start.parameters, weights)
        initialize_components(candidate.model, task.rows.z, start.responsibilities)
        return candidate

    def _begun(
        self,
        plan: MixturePlan,
        task: MixtureTask,
        gaussian: GaussianStart,
        start: Start,
        factors: Sequence[Array] = (),
    ) -> Candidate:
        """A new model at its start."""
        n_components = start.responsibilities.shape[1]
        candidate = self._candidate(plan, task, n_components, gaussian.name)
        self._set(candidate.model, gaussian, plan, task)
        if factors:
            set_categories(candidate.model, factors)
        initialize_components(candidate.model, task.rows.z, start.responsibilities)
        self._contaminate(candidate.model, plan, task)
        return candidate

    def _candidate(
        self, plan: MixturePlan, task: MixtureTask, n_components: int, name: str
    ) -> Candidate:
        """A new model, where it is trained."""
        n_features = task.rows.z.shape[1]
        recipe = self._recipe(plan, n_features, n_components)
        model = flow_mixture(**recipe, seed=task.seed % 2**30).to(self._device)
        return Candidate(name, self._objective(plan, model, n_features), {}, task.noise())

    def _objective(
        self, plan: MixturePlan, model: MixtureModel, n_features: int
    ) -> MixtureObjective:
        """What trains the model."""
        objective = MixtureObjective(
            model,
            inference=plan.inference,
            perturbation=plan.perturbation(n_features),
            consistency=plan.weight,
            balance=plan.balance,
            label_weight=float(plan.semi_supervised.label_weight),
            pseudo_labels=self._pseudo_labels,
            teach=isinstance(weights := plan.model_options.weights, str) and weights == "network",
        )
        return objective.to(self._device)

    def _set(
        self, model: MixtureModel, start: GaussianStart, plan: MixturePlan, task: MixtureTask
    ) -> None:
        """Make a model the Gaussian mixture that it starts from."""
        n_rows, n_features = task.rows.z.shape
        n_components = model.mixture.n_components
        set_start(
            model,
            start.parameters,
            plan.given_weights(n_components),
            freeze=is_small(n_rows, n_components, n_features),
        )

    def _contaminate(self, model: MixtureModel, plan: MixturePlan, task: MixtureTask) -> None:
        """Learn the share of the broad density beside a model at its start."""
        z, weights = task.rows.z.to(self._device), task.rows.weights
        weights = None if weights is None else weights.to(z)
        given = plan.given_contamination
        learn_contamination(model.mixture, z, plan.n_stray, weights, given=given)

    def _recipe(
        self,
        plan: MixturePlan,
        n_features: int,
        n_components: int,
        layout: Layout | None = None,
    ) -> dict[str, Any]:
        """The arguments of the model's recipe; the layout is its own where none is given."""
        layout = self.layout if layout is None else layout
        flat = len(self._kinds()) if self.is_table else n_features
        recipe = plan.recipe(flat if layout is None else layout.features, n_components)
        recipe |= {"categories": self._levels} if self._levels else {}
        if layout is None:
            return recipe
        recipe.pop("contamination", None)
        return recipe | {"blocks": layout.blocks}

    @property
    def _levels(self) -> list[int]:
        """How many categories each further column has."""
        return [] if self.coding_ is None else self.coding_.levels

    _pseudo_labels: ClassVar[bool] = False
