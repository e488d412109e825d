"""What a fitted mixture of flows says of some columns, alone or where others are known."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from anabranch.algorithms.gaussians import ConditionalDraws, GaussianParameters, conditional_draws
from anabranch.distributions import Flow
from anabranch.estimators.rows import Seed
from anabranch.estimators.table_prepared import TablePrepared

Array = NDArray[np.float64]
LEARNING = 2000  # draws of each component, whose moments are where the search begins


class ConditionalRows(TablePrepared):
    """A mixture that answers for columns, by its components' Gaussians and importance weights."""

    weights_: Array
    contamination_: float
    flow: object

    def conditional(
        self,
        columns: Sequence[int | str],
        values: ArrayLike,
        *,
        n_samples: int = 4096,
        random_state: Seed = None,
    ) -> ConditionalDraws:
        r"""Draws of :math:`p(x_a \mid x_b)`, whole rows with weights, where some numbers are known.

        Of Gaussian components (``flow=None``) they are exact, and weigh alike. Those of flows come
        from Gaussians that are moved to where the density is, and are weighted; the effective
        sample size says how well that went. ``predict_proba`` of the rows, in the mean over the
        weights, is :math:`p(k \mid x_b)`.

        Args:
            columns: b, their numbers or names.
            values: x_b, a number of the data's units for each.
            n_samples: draws.
            random_state: by default that of the estimator.

        Returns:
            ``samples``, ``weights``, ``log_marginal`` and ``effective_sample_size``; see
            `anabranch.algorithms.gaussians.ConditionalDraws`.

        Raises:
            ValueError: for columns that there are not, for all of them or none, for other than one
                finite number for each, and for tables of mixed columns or integers.

        Example:
            >>> from anabranch import FlowMixture
            >>> X = np.random.RandomState(0).randn(200, 2)
            >>> settings = {"max_epochs": 0, "init_params": "kmeans", "random_state": 0}
            >>> mixture = FlowMixture(1, flow=None, **settings).fit(X)
            >>> told = mixture.conditional([0], [1.0], n_samples=100)
            >>> told.samples.shape, round(told.effective_sample_size)
            ((100, 2), 100)
        """
        known, proposal, exact = self._asked(columns)
        given = self._known_values(known, values)
        state = check_random_state(self.random_state if random_state is None else random_state)
        return conditional_draws(
            self._score_numbers,
            proposal,
            known,
            given,
            n=n_samples,
            random_state=state,
            exact=exact,
        )

    def score_marginal(
        self,
        X: ArrayLike,
        columns: Sequence[int | str],
        *,
        n_samples: int = 1024,
        random_state: Seed = 0,
    ) -> Array:
        r"""Log-density of some columns alone, :math:`\log p(x_b)`, (n,) in nats.

        Exact for Gaussian components, else the importance estimate that `conditional` makes.

        Args:
            X: (n, B), the columns in their order.
            columns: b, their numbers or names.
            n_samples: draws for each row.
            random_state: of them.

        Raises:
            ValueError: as `conditional` does.
        """
        known, proposal, exact = self._asked(columns)
        rows = np.asarray(X, dtype=np.float64)
        if rows.ndim != 2:
            raise ValueError(f"X must be (n, {len(known)}), got shape {rows.shape}")
        state = check_random_state(random_state)
        how: dict[str, Any] = {"n": 1 if exact else n_samples, "exact": exact}
        found = [
            conditional_draws(
                self._score_numbers,
                proposal,
                known,
                self._known_values(known, row),
                random_state=state,
                **how,
            ).log_marginal
            for row in rows
        ]
        return np.array(found)

    def _asked(
        self, columns: Sequence[int | str]
    ) -> tuple[NDArray[np.int64], GaussianParameters, bool]:
        """Columns as numbers, Gaussians near the components, and whether these are them."""
        known = self._chosen(columns)
        if self.levels is not None:
            raise ValueError("conditional and marginal are of real numbers, not of levels")
        exact = self.flow is None and not self.contamination_
        own = self._gaussian_moments() if exact else self._drawn_moments()
        return known, GaussianParameters(np.asarray(self.weights_), *own), exact

    @torch.no_grad()
    def _gaussian_moments(self) -> tuple[Array, Array]:
        """Means and covariances of Gaussian components: where zero and the axes are sent."""
        places = torch.cat([torch.zeros(1, self.n_features_in_), torch.eye(self.n_features_in_)])
        means, covariances = [], []
        for k in range(self.n_components_):
            component = self.model_.mixture.component(k)
            if not isinstance(component, Flow):
                raise TypeError(f"component {k} is no Gaussian but a {type(component).__name__}")
            transform = copy.deepcopy(component.transform).double()
            x, _ = transform.decode(places.to(self._device).double())
            x = np.asarray(self.preparation_.decode(x), dtype=np.float64)
            sides = x[1:] - x[0]
            means.append(x[0])
            covariances.append(sides.T @ sides)
        return np.array(means), np.array(covariances)

    def _drawn_moments(self) -> tuple[Array, Array]:
        """Those of draws of the components."""
        state, means, covariances = np.random.RandomState(0), [], []
        for k in range(self.n_components_):
            x, _ = self._sample(LEARNING, k, state)
            means.append(x.mean(0))
            covariances.append(np.atleast_2d(np.cov(x.T)) + 1e-9 * np.diag(x.var(0)))
        return np.array(means), np.array(covariances)
