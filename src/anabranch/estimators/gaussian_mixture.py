"""GaussianMixture by expectation maximisation, with labels, priors and annihilation."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from anabranch.algorithms.gaussians.seeding import assignments
from anabranch.algorithms.mixed_gaussians import MixedFit, MixedRows
from anabranch.estimators.checks import check_rows, column_names
from anabranch.estimators.column_warnings import constant_columns, warn_regularised
from anabranch.estimators.fitted_gaussians import FittedGaussians
from anabranch.estimators.gaussian_plan import MAX_COMPONENTS, GaussianPlan, LabelledRows
from anabranch.estimators.gaussian_runs import GaussianFit, LastFit, best_fit, warn_not_converged
from anabranch.estimators.labels import check_targets
from anabranch.estimators.rows import Seed, at, check_weights, precision_of
from anabranch.procedures.fit_mixed_gaussians import EMOptions, fit_mixed_gaussians

Array = NDArray[np.float64]


class GaussianMixture(FittedGaussians):
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
        max_iter: most steps; for "auto", at each number of components. 0 keeps the start.
        n_init: starts; the one with the highest objective is kept.
        init_params: "kmeans", "k-means++" (its draws alone), "random_from_data" (rows drawn at
            random) or "random" (responsibilities drawn at random), each with the rows of labelled
            classes as they are; "auto" begins at random rows. Rows belong to the drawn one that is
            nearest in standardised columns, where scikit-learn gives it a component by itself.
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
        verbose: 1 shows progress, 2 the gain of the last step too.
        verbose_interval: steps from one sight of it to the next.
        random_state: seed or `numpy.random.RandomState`.

    Attributes:
        n_components_: K.
        weights_: (K,).
        means_: (K, D).
        covariances_: (K, D, D), (D, D) tied, (K, D) diag, or (K,) spherical. These three are in
            single precision where all of X was.
        lower_bounds_: objective before each step, in nats per row: mean log-density, with
            log p(x, y) for labelled rows, and the log-prior over n. It never falls but where an
            empty component was restarted, or by as little as ``reg_covar`` takes.
        lower_bound_: the last of them, -inf where there is none.
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
        verbose: int = 0,
        verbose_interval: int = 10,
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
        self.verbose = verbose
        self.verbose_interval = verbose_interval
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
        precision = precision_of(X)
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
        self._precision = np.dtype(np.float64) if self.is_table else precision
        try:
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                if self.is_table:
                    self._keep_table(self._fit_mixed(X, targets, weights, n_components, plan))
                    return self
                rows = LabelledRows(X, targets, weights)
                random_state = check_random_state(self.random_state)
                best = best_fit(rows, n_components, plan, random_state, self._last())
        except np.linalg.LinAlgError:
            raise ValueError(self._singular(len(X), n_components)) from None
        except FloatingPointError as error:
            if "divide" in str(error):  # by a variance of zero
                raise ValueError(self._singular(len(X), n_components)) from None
            raise ValueError(
                f"double precision does not hold the squares of X ({error}): rescale its columns, "
                f"or raise reg_covar, now {self.reg_covar:g}"
            ) from None
        self._keep(best)
        return self

    def _singular(self, n_rows: int, n_components: int) -> str:
        return (
            "Fitting the mixture model failed because some components have ill-defined empirical "
            "covariance (for instance caused by singleton or collapsed samples). Try to decrease "
            "the number of components, increase reg_covar, or scale the input data. Here, "
            f"a covariance of {n_rows} rows in {n_components} components is singular at "
            f"reg_covar={self.reg_covar:g}; a covariance_prior bounds it too"
        )

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
            warn_not_converged(len(fit.objectives))
        return fit

    def _keep_table(self, fit: MixedFit) -> None:
        n_iter = len(fit.objectives)
        self._set_mixed(fit.parameters)
        # in the units of the data, as they are for numbers
        self._keep(GaussianFit(self.parameters_, fit.objectives, fit.converged, n_iter))

    def _last(self) -> LastFit | None:
        """Where a warm start goes on, None where it begins."""
        warm = self.warm_start and self.__sklearn_is_fitted__()
        return LastFit(self.parameters_, self.lower_bound_) if warm else None

    def _keep(self, best: GaussianFit) -> None:
        self.lower_bounds_ = best.objectives
        self.lower_bound_ = best.bound
        self.converged_, self.n_iter_ = best.converged, best.n_iter
        self.covariance_type_ = self.covariance_type
        self.description_lengths_ = best.lengths
        self._set(best.parameters)

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
