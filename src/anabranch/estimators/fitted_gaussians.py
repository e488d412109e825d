"""What a fitted mixture of Gaussians answers, in scikit-learn's names, shapes and precision."""

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from anabranch.algorithms.gaussians import (
    GaussianParameters,
    conditional,
    marginal,
    n_parameters,
)
from anabranch.algorithms.gaussians.seeding import reduced
from anabranch.algorithms.mixed_gaussians import MixedParameters
from anabranch.archive import Tree
from anabranch.estimators.estimator import Components, State
from anabranch.estimators.gaussian_plan import covariance_model
from anabranch.estimators.programs import CHECKED, Gaussians, MixtureScores, Prepared, Program
from anabranch.estimators.rows import precision_of
from anabranch.estimators.table_columns import TableColumns
from anabranch.procedures.table_preparation import TablePreparation

Array = NDArray[np.float64]
RESULTS = ("covariance_type_", "lower_bound_", "lower_bounds_", "converged_", "n_iter_")
BATCH = 65_536  # rows whose densities are worked out at a time
FAR = 1e7  # sizes of the mixture: along a ray, p(k | x) has come to its limit there


class FittedGaussians(TableColumns):
    """A mixture of Gaussians as `anabranch.GaussianMixture` keeps it.

    Numbers are worked out in double precision, and given in single where all rows were.
    """

    covariance_type: str
    covariance_type_: str
    reg_covar: float
    parameters_: GaussianParameters
    mixed_: MixedParameters
    preparation_: TablePreparation
    categories_: dict[str, Array]
    means_: Array
    covariances_: Array
    description_lengths_: dict[int, float]
    _precision: np.dtype = np.dtype(np.float64)

    def _set(self, parameters: GaussianParameters) -> None:
        self.parameters_ = parameters
        self.n_components_ = len(parameters.weights)
        self.weights_ = self._rounded(parameters.weights)
        self.means_ = self._rounded(parameters.means)
        self.covariances_ = self._rounded(reduced(parameters.covariances, self.covariance_type_))

    def _set_mixed(self, mixed: MixedParameters) -> None:
        """Keep a mixture of standardised columns, with its Gaussians in the units before that."""
        self.mixed_ = mixed
        self.covariance_type_ = self.covariance_type
        self._set(self.preparation_.unscaled(mixed.gaussian))
        names = [] if self.coding_ is None else [column.name for column in self.coding_.codes]
        self.categories_ = dict(zip(names, mixed.factors, strict=True))

    def _rounded(self, values: Array) -> Array:
        return values.astype(self._precision, copy=False)

    @property
    def precisions_(self) -> Array:
        """Inverse covariances, in the shape of ``covariances_``."""
        inverse = np.linalg.inv(self.parameters_.covariances).astype(np.float64, copy=False)
        return self._rounded(reduced(inverse, self.covariance_type_))

    @property
    def precisions_cholesky_(self) -> Array:
        r"""Upper U with :math:`U U^\top` the inverse covariance, in the shape of ``covariances_``.

        Of "diag" and "spherical", one over standard deviations.
        """
        inverse = np.linalg.inv(self.parameters_.scale_tril).astype(np.float64, copy=False)
        return self._rounded(reduced(inverse.transpose(0, 2, 1), self.covariance_type_))

    # -- using -----------------------------------------------------------------------------------

    def predict_proba(self, X: ArrayLike, *, method: str | None = None) -> Array:
        """Probabilities of the components for each row, (n, K)."""
        return np.exp(self.predict_log_proba(X, method=method))

    def predict_log_proba(self, X: ArrayLike, *, method: str | None = None) -> Array:
        """Their logarithms, (n, K)."""
        self._check_exact(method)
        joint = self._joint(X)
        log_prob = np.logaddexp.reduce(joint, axis=1)
        lost = np.isneginf(log_prob)
        if lost.any():
            joint[lost] = self._far_joint(self._validated(X, reset=False)[lost])
            log_prob[lost] = np.logaddexp.reduce(joint[lost], axis=1)
        return self._as_given_precision(joint - log_prob[:, None], X)

    def _far_joint(self, rows: Array) -> Array:
        """Log p(k | x) up to a constant, of rows beyond double precision: far along their rays."""
        found = self.parameters_
        size = np.abs(found.means).max() + np.sqrt(np.abs(found.covariances).max())
        joint = found.joint_log_prob(rows / np.abs(rows).max(1, keepdims=True) * size * FAR)
        return joint - joint.max(1, keepdims=True)

    def score_samples(self, X: ArrayLike) -> Array:
        """Log-density of each row, in nats and in the units of X, (n,); -inf where it underflows.

        Of rows in single precision it is single where the fit was of such rows.
        """
        return self._as_given_precision(np.logaddexp.reduce(self._joint(X), axis=1), X)

    def marginal(self, columns: Sequence[int | str]) -> Self:
        """The mixture of some columns alone, fitted as this one is, exactly.

        Args:
            columns: their numbers or names, at least one, in the order that is wanted.

        Raises:
            ValueError: for columns that there are not, or twice, and for a table of mixed columns.

        Example:
            >>> from anabranch import GaussianMixture
            >>> mixture = GaussianMixture(1).fit([[0.0, 1.0], [2.0, 5.0]])
            >>> mixture.marginal([1]).means_
            array([[3.]])
        """
        chosen = self._chosen(columns)
        return self._of_columns(chosen, marginal(self.parameters_, chosen))

    def conditional(self, columns: Sequence[int | str], values: ArrayLike) -> Self:
        r"""The mixture :math:`p(x_a \mid x_b)` of the other columns where some are known, exactly.

        A component weighs what it has to do with the known numbers, and its mean moves with them.
        ``predict_proba``, ``sample``, ``score_samples`` and the attributes are those of it.

        Args:
            columns: b, their numbers or names.
            values: x_b, a number of the data's units for each.

        Raises:
            ValueError: for columns that there are not, for all of them or none, for other than one
                finite number for each, and for a table of mixed columns.

        Example:
            >>> from anabranch import GaussianMixture
            >>> rows = [[0.0, 0.0], [1.0, 2.0], [2.0, 4.0], [3.0, 5.0]]
            >>> told = GaussianMixture(1).fit(rows).conditional([0], [2.5])
            >>> told.means_.round(3)
            array([[4.45]])
        """
        known = self._chosen(columns)
        given = self._known_values(known, values)
        others = np.setdiff1d(np.arange(self.n_features_in_), known)
        return self._of_columns(others, conditional(self.parameters_, known, given))

    def _of_columns(self, columns: NDArray[np.int64], parameters: GaussianParameters) -> Self:
        """An estimator of some columns that is fitted with these parameters."""
        names = self.column_names
        own = type(self)(**self.get_params(deep=False))
        if names is not None:
            own.feature_names_in_ = np.asarray([names[c] for c in columns], dtype=object)
        own.n_features_in_, own.coding_ = len(columns), None
        own._precision, own.covariance_type_ = self._precision, self.covariance_type_
        for name in RESULTS:
            setattr(own, name, getattr(self, name))
        own.description_lengths_ = self.description_lengths_
        own._set(parameters)
        return own

    def _as_given_precision(self, values: Array, X: ArrayLike) -> Array:
        return values.astype(np.result_type(self._precision, precision_of(X)), copy=False)

    def _sample(
        self, n: int, component: int | None, random_state: np.random.RandomState
    ) -> tuple[Array, NDArray[np.int64]]:
        parameters = self.parameters_
        labels = (
            random_state.choice(self.n_components_, n, p=parameters.weights)
            if component is None
            else np.full(n, component)
        )
        if self.is_table:
            rows = self.mixed_.sample(labels, random_state)
            return self.preparation_.decode(torch.as_tensor(rows)), labels.astype(np.int64)
        noise = random_state.standard_normal((n, self.n_features_in_))
        X = np.empty_like(noise)
        for k, scale_tril in enumerate(parameters.scale_tril):
            own = labels == k
            X[own] = parameters.means[k] + noise[own] @ scale_tril.T
        return X, labels.astype(np.int64)

    def _joint(self, X: ArrayLike) -> Array:
        """Log p(x, k), (n, K); -inf for rows so far out that their squares overflow."""
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
        return np.nan_to_num(np.concatenate(parts), nan=-np.inf, neginf=-np.inf)

    def program(self) -> Program:
        """Joint log-densities, log-density and posterior as one module; see `Estimator.program`."""
        check_is_fitted(self)
        self._check_plain()
        X, found = np.asarray(self.sample(CHECKED, random_state=0)[0], float), self.parameters_
        scale_tril = np.broadcast_to(found.scale_tril, found.covariances.shape)
        gaussians = Gaussians(found.weights, found.means, scale_tril)
        said = {"log_prob": self.score_samples(X), "posterior": self.predict_proba(X)}
        return Program(MixtureScores(gaussians, Prepared(None), None), {"x": X}, said)

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
                "precision": self._precision.name,
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
        # files of 0.1 have none
        self._precision = np.dtype(state.get("precision", "float64"))
        lengths = state["description_lengths"]
        self.description_lengths_ = {int(k): length for k, length in lengths}
        diagonal = self.covariance_type_ in ("diag", "spherical")
        arrays = (state[name].numpy() for name in ("weights", "means", "covariances"))
        self._set(GaussianParameters(*arrays, diagonal=diagonal))
        self.n_features_in_ = self.means_.shape[1]
        self._restore_table(state)
