"""GaussianMixture by expectation maximisation, with labels, priors and annihilation."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from anabranch.algorithms.gaussians import (
    GaussianParameters,
    GaussianPrior,
    annihilate,
    gaussian_em_path,
    n_parameters,
)
from anabranch.algorithms.gaussians.seeding import assignments, broad_start, reduced
from anabranch.algorithms.mixed_gaussians import MixedFit, MixedParameters, MixedRows
from anabranch.archive import Tree
from anabranch.estimators.checks import check_rows, column_names
from anabranch.estimators.column_warnings import constant_columns, warn_regularised
from anabranch.estimators.estimator import Components, State
from anabranch.estimators.gaussian_plan import (
    MAX_COMPONENTS,
    GaussianPlan,
    LabelledRows,
    covariance_model,
)
from anabranch.estimators.labels import check_targets
from anabranch.estimators.rows import Seed, at, check_weights
from anabranch.estimators.table_columns import TableColumns
from anabranch.procedures.fit_mixed_gaussians import EMOptions, fit_mixed_gaussians
from anabranch.procedures.table_preparation import TablePreparation

Array = NDArray[np.float64]
RESULTS = ("covariance_type_", "lower_bound_", "lower_bounds_", "converged_", "n_iter_")
BATCH = 65_536  # rows whose densities are worked out at a time


@dataclass(frozen=True)
class _Fit:
    """One run: its mixture, the objective per row before each step, and how it ended."""

    parameters: GaussianParameters
    objectives: list[float]
    converged: bool
    n_iter: int
    lengths: dict[int, float] = field(default_factory=dict)


class GaussianMixture(TableColumns):
    r"""Mixture of Gaussians by expectation maximisation.

    .. math:: p(x) = \sum_{k=1}^K \pi_k\, \mathcal N(x; m_k, \Sigma_k)

    From the same start it takes the steps of scikit-learn's class of the same name, and it takes
    labels, finds the number of components, and lets priors keep estimates from few rows in bounds.

    Told of the kinds of columns, it takes tables as they are: components are then
    :math:`p(x, k \mid c) = \mathcal N(x; m_c, \Sigma_c) \prod_j p_{cj}(k_j)` with the categories k,
    and a missing cell is summed out, exactly.

    Args:
        n_components: K. None for as many as there are classes in y, or one without y; "auto" to
            begin with ``max_components`` and annihilate those that are not worth their parameters,
            keeping the mixture of least description length, as ``mdl`` has it.
        covariance_type: "full", "tied" (one for all), "diag", or "spherical" (one variance each).
        tol: smallest gain of the objective in nats per row to go on; a hundred times finer for
            "auto".
        reg_covar: added to the variances, in squared units of X.
        max_iter: most steps; for "auto", at each number of components.
        n_init: starts; the one with the highest objective is kept.
        init_params: "kmeans", "k-means++" (its draws alone) or "random" (rows), each with the rows
            of labelled classes as they are; "auto" begins at random rows.
        weights_init: (K,) weights to start from.
        means_init: (K, D) means to start from.
        precisions_init: inverse covariances to start from, in the shape of ``covariances_``.
        weight_concentration_prior: α of a Dirichlet prior on the weights, at least 1, which is
            flat.
        covariance_prior: Ψ of an inverse-Wishart prior on the covariances, (D, D) or a number
            times the identity; None for none, and for "auto" a weak one after Fraley and Raftery.
        degrees_of_freedom_prior: its ν, above D - 1; None for D.
        max_components: where "auto" begins, or at the number of rows.
        columns: None for numbers, all real; "auto", or a dict from names or places of columns to
            "real", "positive", ("interval", a, b), ("circle", period), "count", "integer",
            "binary", "category", "date", "constant", "identifier" (no part of the model) or "auto"
            for what the values say; see `anabranch.data.column_kinds`. Columns are then
            standardised, and ``reg_covar`` is in their squared units.
        missing: "refuse", or "marginal" to sum missing cells out.
        warm_start: go on from the last fit.
        random_state: seed or `numpy.random.RandomState`.

    Attributes:
        n_components_: K.
        weights_: (K,).
        means_: (K, D).
        covariances_: (K, D, D), (D, D) tied, (K, D) diag, or (K,) spherical.
        lower_bounds_: objective before each step, in nats per row: mean log-density, with
            log p(x, y) for labelled rows, and the log-prior over n. It never falls but where an
            empty component was restarted, or by as little as ``reg_covar`` takes.
        lower_bound_: the last of them.
        converged_: whether the gain fell below ``tol``.
        n_iter_: steps.
        description_lengths_: of "auto", ``mdl`` at each number of components that was reached;
            then ``lower_bounds_`` holds minus the least of them per row. Empty otherwise.
        covariance_type_: what the last fit was given.
        parameters_: the mixture as `anabranch.algorithms.gaussians.GaussianParameters`. Of a table
            of mixed columns, means and covariances are those of the real ones in their order:
            logarithms of positive ones and counts, logits of intervals, days of dates.
        categories_: of such a table, a dict from columns to the probabilities of their categories,
            (K, levels); the names of these are in ``coding_``.

    Source: Dempster, Laird, Rubin (1977), "Maximum likelihood from incomplete data via the EM
    algorithm"; for "auto" Figueiredo, Jain (2002), "Unsupervised learning of finite mixture
    models", IEEE TPAMI 24.

    Example:
        >>> X = np.concatenate([np.linspace(1, 3, 50), np.linspace(9, 11, 150)])[:, None]
        >>> mixture = GaussianMixture(2, random_state=0).fit(X)
        >>> np.sort(mixture.weights_).round(3), np.sort(mixture.means_.ravel()).round(3)
        (array([0.25, 0.75]), array([ 2., 10.]))
    """

    parameters_: GaussianParameters
    mixed_: MixedParameters
    preparation_: TablePreparation
    categories_: dict[str, Array]

    def __init__(
        self,
        n_components: int | str | None = None,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        weight_concentration_prior: float = 1.0,
        covariance_prior: ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        max_components: int = MAX_COMPONENTS,
        columns: object = None,
        missing: str = "refuse",
        warm_start: bool = False,
        random_state: Seed = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.weight_concentration_prior = weight_concentration_prior
        self.covariance_prior = covariance_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.max_components = max_components
        self.columns = columns
        self.missing = missing
        self.warm_start = warm_start
        self.random_state = random_state

    # -- fitting ---------------------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the mixture.

        Args:
            X: (n, D) array or frame.
            y: labels where known, -1 where not: (n,) integers, or (n, K) probabilities with rows
                of zeros where unknown. Such a row keeps its responsibilities. "auto" takes none.
            sample_weight: (n,) what each row counts: as if it were there so many times. "auto"
                takes none.

        Returns:
            The estimator.

        Raises:
            ValueError: for data or settings that cannot be used; the message says why.

        Warns:
            ConvergenceWarning: where the gain did not fall below ``tol`` within ``max_iter`` steps.
        """
        X = self._validated(X, reset=True)
        weights = check_weights(sample_weight, len(X))
        plan = GaussianPlan.of(self)
        if weights is not None and plan.is_auto:
            raise ValueError("n_components='auto' takes no sample_weight: it counts rows")
        plan.check_columns(X.shape[1])
        plan.warn_unused()
        targets, n_components = _targets(plan, y, len(X))
        self._keep_classes(y, targets, None if plan.n_components is None else n_components)
        self._check_warm(X.shape[1], n_components)
        if not self.is_table:
            columns = column_names(self, X.shape[1])
            constant = constant_columns(X, columns, self.reg_covar)
            warn_regularised(X, constant, columns, self.reg_covar)
        if weights is not None:  # a row that does not count is not there
            counts = np.flatnonzero(weights)
            X, targets, weights = X[counts], at(targets, counts), weights[counts]
        try:
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                if self.is_table:
                    self._keep_table(self._fit_mixed(X, targets, weights, n_components, plan))
                    return self
                best = self._best(X, targets, weights, n_components, plan)
        except np.linalg.LinAlgError:
            raise ValueError(
                f"a covariance of {len(X)} rows in {n_components} components is singular: raise "
                f"reg_covar, now {self.reg_covar:g}, or give a covariance_prior"
            ) from None
        except FloatingPointError as error:
            raise ValueError(
                f"double precision does not hold the squares of X ({error}): rescale its columns, "
                f"or raise reg_covar, now {self.reg_covar:g}"
            ) from None
        self._keep(best)
        return self

    def _fit_mixed(
        self,
        X: Array,
        targets: Array | None,
        weights: Array | None,
        n_components: int,
        plan: GaussianPlan,
    ) -> MixedFit:
        """EM of a table of mixed columns."""
        self.preparation_ = self._fit_table(X, np.zeros(self.model_features, bool))
        levels = [] if self.coding_ is None else self.coding_.levels
        rows = MixedRows(self.preparation_.precisely(X)[0].numpy(), levels, targets, weights)
        random_state = check_random_state(self.random_state)

        def assign(seen: Array) -> Array:
            how = n_components, plan.init_params, random_state
            return assignments(seen, targets, *how, weights)

        how = EMOptions(plan.model, plan.max_iter, plan.tol, plan.n_init)
        fit = fit_mixed_gaussians(rows, n_components, how, assign)
        if not fit.converged:
            _warn_not_converged(len(fit.objectives))
        return fit

    def _keep_table(self, fit: MixedFit) -> None:
        n_iter = len(fit.objectives)
        self._set_mixed(fit.parameters)
        # in the units of the data, as they are for numbers
        self._keep(_Fit(self.parameters_, fit.objectives, fit.converged, n_iter))

    def _set_mixed(self, mixed: MixedParameters) -> None:
        """Keep a mixture of standardised columns, with its Gaussians in the units before that."""
        self.mixed_ = mixed
        self.covariance_type_ = self.covariance_type
        self._set(self.preparation_.unscaled(mixed.gaussian))
        names = [] if self.coding_ is None else [column.name for column in self.coding_.codes]
        self.categories_ = dict(zip(names, mixed.factors, strict=True))

    def _best(
        self,
        X: Array,
        targets: Array | None,
        weights: Array | None,
        n_components: int,
        plan: GaussianPlan,
    ) -> _Fit:
        runs = self._runs(LabelledRows(X, targets, weights), n_components, plan)
        best = next(runs)
        for run in runs:
            if run.objectives[-1] > best.objectives[-1]:
                best = run
        if not best.converged:
            _warn_not_converged(best.n_iter)
        return best

    def _runs(self, rows: LabelledRows, n_components: int, plan: GaussianPlan) -> Iterator[_Fit]:
        random_state = check_random_state(self.random_state)
        X, prior = rows.X, plan.prior(rows.X, n_components)
        warm = plan.warm_start and hasattr(self, "parameters_")
        for _ in range(1 if warm else plan.n_init):
            if warm:
                start = self.parameters_
            elif plan.is_auto:
                start = broad_start(X, n_components, plan.model, random_state)
            else:
                start = plan.start(rows, n_components, prior, random_state)
            if plan.is_auto:
                yield _annihilated(X, start, plan, prior)
            else:
                before = self.lower_bound_ if warm else -np.inf
                yield _converged(rows, start, plan, prior, before)

    def _keep(self, best: _Fit) -> None:
        self.lower_bounds_ = best.objectives
        self.lower_bound_ = best.objectives[-1]
        self.converged_, self.n_iter_ = best.converged, best.n_iter
        self.covariance_type_ = self.covariance_type
        self.description_lengths_ = best.lengths
        self._set(best.parameters)

    def _set(self, parameters: GaussianParameters) -> None:
        self.parameters_ = parameters
        self.n_components_ = len(parameters.weights)
        self.weights_, self.means_ = parameters.weights, parameters.means
        self.covariances_ = reduced(parameters.covariances, self.covariance_type_)

    def _check_warm(self, n_features: int, n_components: int) -> None:
        if not (self.warm_start and hasattr(self, "parameters_")):
            return
        old_components, old_features = self.parameters_.means.shape
        if self.n_components == "auto":
            n_components = old_components
        old = old_components, self.covariance_type_, old_features
        new = n_components, self.covariance_type, n_features
        if old != new:
            raise ValueError(
                "warm_start goes on with the last mixture, which has {} {} components in {} "
                "columns, now {} {} in {}: fit with warm_start=False".format(*old, *new)
            )

    @property
    def precisions_(self) -> Array:
        """Inverse covariances, in the shape of ``covariances_``."""
        inverse = np.linalg.inv(self.parameters_.covariances).astype(np.float64, copy=False)
        return reduced(inverse, self.covariance_type_)

    # -- using -----------------------------------------------------------------------------------

    def predict_proba(self, X: ArrayLike, *, method: str | None = None) -> Array:
        """Probabilities of the components for each row, (n, K)."""
        return np.exp(self.predict_log_proba(X, method=method))

    def predict_log_proba(self, X: ArrayLike, *, method: str | None = None) -> Array:
        """Their logarithms, (n, K)."""
        self._check_exact(method)
        joint = self._joint(X)
        return joint - np.logaddexp.reduce(joint, axis=1)[:, None]

    def score_samples(self, X: ArrayLike) -> Array:
        """Log-density of each row, in nats and in the units of X, (n,)."""
        return np.logaddexp.reduce(self._joint(X), axis=1)

    def _sample(
        self, n: int, component: int | None, random_state: np.random.RandomState
    ) -> tuple[Array, NDArray[np.int64]]:
        labels = (
            random_state.choice(self.n_components_, n, p=self.weights_)
            if component is None
            else np.full(n, component)
        )
        if self.is_table:
            rows = self.mixed_.sample(labels, random_state)
            return self.preparation_.decode(torch.as_tensor(rows)), labels.astype(np.int64)
        noise = random_state.standard_normal((n, self.n_features_in_))
        X = np.empty_like(noise)
        for k, scale_tril in enumerate(self.parameters_.scale_tril):
            own = labels == k
            X[own] = self.means_[k] + noise[own] @ scale_tril.T
        return X, labels.astype(np.int64)

    def _joint(self, X: ArrayLike) -> Array:
        """Log p(x, k), (n, K)."""
        check_is_fitted(self)
        X = self._validated(X, reset=False)
        if self.is_table:
            z, term = self.preparation_.precisely(X)
            return self.mixed_.joint_log_prob(z.numpy()) + term.numpy()[:, None]
        with np.errstate(over="ignore", invalid="ignore"):
            parts = [
                self.parameters_.joint_log_prob(X[first : first + BATCH])
                for first in range(0, len(X), BATCH)
            ]
        joint = np.concatenate(parts)
        bad = ~np.isfinite(joint).all(axis=1)
        if bad.any():
            raise ValueError(
                f"row {int(bad.argmax())} of X is too far from the rows that the mixture was "
                "fitted to for double precision"
            )
        return joint

    def _n_parameters(self) -> int:
        model = covariance_model(self.covariance_type, self.reg_covar)
        of_categories = (
            sum(t.size - len(t) for t in self.categories_.values()) if self.is_table else 0
        )
        gaussians = n_parameters(model, self.n_components_, self.model_features)
        return gaussians + of_categories

    # -- what it says of itself ------------------------------------------------------------------

    takes_labels: ClassVar[bool] = True
    components: ClassVar[Components] = "searched"
    fitted_attribute: ClassVar[str] = "parameters_"

    def state(self) -> dict[str, Tree]:
        """What ``fit`` has found; see `Estimator.state`."""
        parameters = self.parameters_
        return (
            super().state()
            | self._table_state()
            | {
                **{name: getattr(self, name) for name in RESULTS},
                "weights": torch.as_tensor(parameters.weights),
                "means": torch.as_tensor(parameters.means),
                "covariances": torch.as_tensor(parameters.covariances),
                "description_lengths": list(self.description_lengths_.items()),
            }
        )

    def _table_state(self) -> dict[str, Tree]:
        if self.coding_ is None:
            return {}
        gaussian = self.mixed_.gaussian
        return super()._table_state() | {
            "preparation": dict(self.preparation_.transform.state_dict()),
            "standard_means": torch.as_tensor(gaussian.means),
            "standard_covariances": torch.as_tensor(gaussian.covariances),
            "factors": [torch.as_tensor(table) for table in self.mixed_.factors],
        }

    def _restore_table(self, state: State) -> None:
        super()._restore_table(state)
        if self.coding_ is None:
            return
        self.preparation_ = self._blank_table()
        self.preparation_.transform.load_state_dict(state["preparation"])
        names = ("weights", "standard_means", "standard_covariances")
        gaussian = GaussianParameters(*(state[name].numpy() for name in names))
        self._set_mixed(MixedParameters(gaussian, tuple(t.numpy() for t in state["factors"])))

    def _restore(self, state: State) -> None:
        for name in RESULTS:
            setattr(self, name, state[name])
        lengths = state["description_lengths"]
        self.description_lengths_ = {int(k): length for k, length in lengths}
        diagonal = self.covariance_type_ in ("diag", "spherical")
        arrays = (state[name].numpy() for name in ("weights", "means", "covariances"))
        self._set(GaussianParameters(*arrays, diagonal=diagonal))
        self.n_features_in_ = self.means_.shape[1]
        self._restore_table(state)


def _warn_not_converged(n_iter: int) -> None:
    warnings.warn(
        f"not converged after {n_iter} steps: raise max_iter or tol",
        ConvergenceWarning,
        stacklevel=4,
    )


def _targets(plan: GaussianPlan, y: ArrayLike | None, n_rows: int) -> tuple[Array | None, int]:
    """Labels as `check_targets` gives them, and how many components to begin with."""
    if isinstance(plan.n_components, str):
        if check_targets(y, n_rows, None)[0] is not None:
            raise ValueError(
                "n_components='auto' takes no labels: give the number of components with y"
            )
        return None, min(plan.max_components, n_rows)
    targets, n_components = check_targets(y, n_rows, plan.n_components)
    check_rows(n_rows, n_components)
    return targets, n_components


def _converged(
    rows: LabelledRows,
    start: GaussianParameters,
    plan: GaussianPlan,
    prior: GaussianPrior | None,
    before: float,
) -> _Fit:
    """EM from a start; ``before`` is the last objective of a fit that goes on."""
    path = gaussian_em_path(
        rows.X,
        start,
        plan.model,
        known=rows.targets,
        prior=prior,
        restart=True,
        weights=rows.weights,
    )
    objectives: list[float] = []
    parameters = start
    for objective, improved in islice(path, plan.max_iter):
        parameters = improved
        objectives.append(objective)
        if abs(objective - before) < plan.tol:
            return _Fit(parameters, objectives, True, len(objectives))
        before = objective
    return _Fit(parameters, objectives, False, len(objectives))


def _annihilated(
    X: Array, start: GaussianParameters, plan: GaussianPlan, prior: GaussianPrior | None
) -> _Fit:
    """Annihilation from a start of too many components."""
    found = annihilate(
        X, start, plan.model, prior=prior, max_iter=plan.max_iter, tol=plan.tol / 100
    )
    objectives = [-min(found.lengths.values()) / len(X)]
    return _Fit(found.parameters, objectives, found.converged, found.n_iter, found.lengths)
