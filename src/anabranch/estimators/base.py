"""What estimators of mixtures share: scikit-learn's contract of a mixture."""

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from anabranch.archive import Tree
from anabranch.estimators.checks import check_draws
from anabranch.estimators.density import DensityEstimator
from anabranch.estimators.estimator import Json, State
from anabranch.estimators.labels import classes_of, warn_of_missing
from anabranch.estimators.rows import Seed, length
from anabranch.functional.numbers import is_whole, real

Array = NDArray[np.float64]


DRAWS = 2000  # of the model, that tell how odd a row is
TRIED = 64  # values of a column, in place of one that may be odd


def share_below(drawn: Array, own: Array) -> Array:
    """The share of drawn numbers that are not above each of one's own, itself among them.

    Example:
        >>> share_below(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.5]))
        array([0.25, 0.75])
    """
    below = np.searchsorted(np.sort(drawn), own, side="right")
    return (below + 1) / (len(drawn) + 1)


class MixtureEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityEstimator):
    """A density with clusters: predictions, and samples of components.

    A subclass fits, and gives ``predict_proba``, ``score_samples``, ``sample`` and the number of
    its free parameters.

    Attributes:
        n_components_: K, the clusters.
        classes_: (K,) the class of each component, a number or a name; only where the fit was given
            labels.
    """

    n_components_: int
    classes_: np.ndarray

    @abstractmethod
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Fit to rows, some of which may have labels."""

    @abstractmethod
    def predict_proba(self, X: ArrayLike, *, method: str | None = None) -> Array:
        """Probabilities of the components for each row, (n, K).

        Args:
            X: (n, D).
            method: "exact" for p(c|x) by Bayes' rule, "network" for q(c|x) where there is a
                posterior network; None for the one that was trained.
        """

    def predict_log_proba(self, X: ArrayLike, *, method: str | None = None) -> Array:
        """Logarithms of ``predict_proba``, (n, K), without its underflow where the model has them.

        Args:
            X: (n, D).
            method: as in ``predict_proba``.

        Example:
            >>> from anabranch import GaussianMixture
            >>> mixture = GaussianMixture(2, random_state=0).fit([[0.0], [1.0], [98.0], [99.0]])
            >>> float(mixture.predict_proba([[0.5]]).min())
            0.0
            >>> bool(mixture.predict_log_proba([[0.5]]).min() < -999)
            True
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, method=method))

    @abstractmethod
    def _sample(
        self, n: int, component: int | None, random_state: np.random.RandomState
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw n rows and their components."""

    def fit_predict(self, X: ArrayLike, y: ArrayLike | None = None) -> NDArray[np.int64]:
        """Fit, and give each row its component: the same as ``fit(X, y).predict(X)``."""
        return self.fit(X, y).predict(X)

    def predict(
        self, X: ArrayLike, *, method: str | None = None, outliers: float | None = None
    ) -> NDArray[np.int64]:
        """The most probable component of each row, (n,).

        Args:
            X: (n, D).
            method: as in `predict_proba`.
            outliers: share of the model's own rows that may count as odd; rows with an
                `outlier_scores` of no more get -1, and so do those that belong to the broad density
                beside the components, where there is one. None for a component for all.

        Raises:
            ValueError: for a share that is not in (0, 1).
        """
        components = self.predict_proba(X, method=method).argmax(1)
        if outliers is None:
            return components
        if not 0 < real(outliers) < 1:
            raise ValueError(f"outliers must be a share in (0, 1) or None, got {outliers!r}")
        enough = max(DRAWS, int(np.ceil(10 / outliers)))
        odd = self.outlier_scores(X, n_samples=enough) <= outliers
        return np.where(odd | self._strange(X), -1, components)

    def _strange(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Which rows belong to no component more than to all of them, (n,)."""
        return np.zeros(length(X), bool)

    def outlier_scores(
        self, X: ArrayLike, *, n_samples: int = DRAWS, random_state: Seed = 0
    ) -> Array:
        r"""How odd each row is: the probability of a row of the model that is not denser, (n,).

        .. math:: P(p(X') \le p(x)), \qquad X' \sim p

        In (0, 1], by draws of the model, whose own rows are uniform; the smaller, the odder. It has
        no unit, so that one threshold serves all tables. Densities in other coordinates order rows
        otherwise: it is a statement about these columns.

        Args:
            X: (n, D).
            n_samples: draws; the smallest value that can be told is 1 / (n_samples + 1).
            random_state: of the draws.

        Source: Hyndman (1996), "Computing and graphing highest density regions", The American
        Statistician 50.

        Example:
            >>> from anabranch import GaussianMixture
            >>> mixture = GaussianMixture(1).fit(np.linspace(-1, 1, 99)[:, None])
            >>> mixture.outlier_scores([[0.0], [9.0]]).round(2)
            array([1., 0.])
        """
        check_is_fitted(self)
        check_draws(n_samples)
        drawn, _ = self._sample(int(n_samples), None, check_random_state(random_state))
        return self._tail(X, drawn)

    def _tail(self, X: ArrayLike, drawn: Array) -> Array:
        """The shares of drawn rows that are not denser than rows, none of which is zero."""
        return share_below(self._score_numbers(drawn), self.score_samples(X))

    def outlier_columns(
        self, X: ArrayLike, *, n_samples: int = TRIED, random_state: Seed = 0
    ) -> Array:
        r"""What each column has to do with a row being odd, (n, D), in nats.

        .. math:: \max_s \log p(x_{i,-j}, s_j) - \log p(x_i), \qquad s \sim p

        How much denser a row would be if this one cell held another value, the best of some that
        the model draws. Near zero where the cell is what it should be, given the others; it is
        large in several columns where each of them could be the wrong one. At least zero.

        Args:
            X: (n, D); of each row D times ``n_samples`` are scored, so give the odd ones alone.
            n_samples: values that are tried.
            random_state: of them.

        Returns:
            Of tables of mixed columns, one for each of ``coding_.encoded_names``.

        Example:
            >>> from anabranch import GaussianMixture
            >>> X = np.random.RandomState(0).randn(200, 2)
            >>> odd = GaussianMixture(1).fit(X).outlier_columns([[0.0, 9.0]])
            >>> bool(odd[0, 0] < 1), bool(odd[0, 1] > 30)
            (True, True)
        """
        check_is_fitted(self)
        check_draws(n_samples)
        rows = self._validated(X, reset=False)
        drawn, _ = self._sample(int(n_samples), None, check_random_state(random_state))
        now = self._score_numbers(rows)
        gains = np.empty(rows.shape)
        for j in range(rows.shape[1]):
            others = np.repeat(rows, len(drawn), axis=0)
            others[:, j] = np.tile(drawn[:, j], len(rows))
            best = self._score_numbers(others).reshape(len(rows), -1).max(1)
            gains[:, j] = np.where(np.isnan(rows[:, j]), 0.0, np.maximum(best - now, 0.0))
        return gains

    def _score_numbers(self, rows: Array) -> Array:
        """Log-densities of rows as ``_validated`` gives them."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "X does not have valid feature names")
            return self.score_samples(rows)

    def transform(self, X: ArrayLike) -> Array:
        """The probabilities of ``predict_proba``, as features for what follows in a pipeline."""
        return self.predict_proba(X)

    def sample(
        self,
        n_samples: int = 1,
        *,
        component: int | None = None,
        random_state: Seed = None,
    ) -> tuple[Any, NDArray[np.int64]]:
        """Draw rows and the components they come from.

        Rows of a table of mixed columns come as the table did: a frame for a frame, with its
        dtypes, categories by their names, and whole numbers.

        Args:
            n_samples: how many.
            component: draw from this component only.
            random_state: by default that of the estimator, so that an integer repeats the draws.
        """
        check_is_fitted(self)
        check_draws(n_samples)
        within = is_whole(component) and 0 <= int(component) < self.n_components_
        if component is not None and not within:
            raise ValueError(
                f"component must be in 0..{self.n_components_ - 1} or None, got {component!r}"
            )
        state = check_random_state(self.random_state if random_state is None else random_state)
        own = None if component is None else int(component)
        X, labels = self._sample(int(n_samples), own, state)
        return self._as_given(X), labels

    def _as_given(self, X: Array) -> Any:
        """Rows as the table that was fitted held them."""
        return X

    def _keep_classes(
        self, y: ArrayLike | None, targets: Array | None, n_components: int | None
    ) -> None:
        """Remember which classes the components are, where there are labels."""
        vars(self).pop("classes_", None)
        if y is not None and targets is not None:
            self.classes_ = classes_of(y, n_components, targets.shape[1])
            if np.asarray(y).ndim == 1:
                warn_of_missing(targets)

    def name_classes(self, names: Sequence[str | int]) -> None:
        """Call the classes of the components, the first ones where there are fewer classes.

        Args:
            names: numbers or text, kept in ``classes_``.

        Raises:
            ValueError: for more names than components, or names of both kinds.

        Example:
            >>> from anabranch import GaussianMixture
            >>> mixture = GaussianMixture(2, random_state=0).fit([[0.0], [1.0], [8.0], [9.0]])
            >>> mixture.name_classes(["low", "high"])
            >>> mixture.class_names
            ['low', 'high']
        """
        text = all(isinstance(name, str) for name in names)
        if not text and any(isinstance(name, str) or not is_whole(name) for name in names):
            raise ValueError(f"names must be integers or text alone, got {list(names)[:5]}")
        without = self.n_components_ - len(names)
        if without < 0:
            raise ValueError(f"{len(names)} names for {self.n_components_} components")
        if text:
            self.classes_ = np.array([*names, *[""] * without], dtype=object)
        else:
            self.classes_ = np.array([*names, *[-1] * without], dtype=np.int64)

    @property
    def class_names(self) -> list[str] | None:
        """The classes of the components as text, where they are not called by their numbers."""
        classes = vars(self).get("classes_")
        if classes is None or classes.tolist() == list(range(len(classes))):
            return None
        return [str(name) if name != -1 else "" for name in classes.tolist()]

    def _check_exact(self, method: str | None) -> None:
        """Refuse a method that an estimator without a posterior network does not have."""
        if method not in (None, "exact"):
            raise ValueError(
                f"method must be 'exact', for a {type(self).__name__} has no posterior network; "
                f"got {method!r}"
            )

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    # -- what it says of itself ------------------------------------------------------------------

    has_clusters: ClassVar[bool] = True
    posteriors: ClassVar[tuple[str, ...]] = ("exact",)
    weights_: Array

    def state(self) -> dict[str, Tree]:
        """What ``fit`` has found; see `Estimator.state`."""
        classes = getattr(self, "classes_", None)
        return super().state() | {"classes": None if classes is None else classes.tolist()}

    @classmethod
    def from_state(cls, settings: Mapping[str, Json], state: State) -> Self:
        """A fitted estimator again; see `Estimator.from_state`."""
        mixture = super().from_state(settings, state)
        if state.get("classes") is not None:  # files of 0.1 have none
            mixture.name_classes(state["classes"])
        return mixture

    def facts(self) -> dict[str, Json]:
        """What there is to know of a fit; see `Estimator.facts`."""
        weights = [float(weight) for weight in self.weights_]
        names = {} if self.class_names is None else {"classes": self.class_names}
        return super().facts() | {"components": self.n_components_, "weights": weights} | names
