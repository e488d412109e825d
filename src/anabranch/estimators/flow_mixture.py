"""FlowMixture: GaussianMixture's contract, with flows for components."""

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from anabranch.data.finite import check_finite
from anabranch.estimators.checks import (
    check_levels,
    check_range,
    check_spread,
    column_names,
    constant_columns,
)
from anabranch.estimators.counting import free_parameters
from anabranch.estimators.labels import check_targets
from anabranch.estimators.preparation import Preparation
from anabranch.estimators.starts import INIT_PARAMS, Start, make_starts, set_start
from anabranch.estimators.trainer import (
    Rows,
    fit_options,
    pretrain,
    race,
    teach_posterior,
    train,
)
from anabranch.models import MixtureModel, flow_mixture
from anabranch.training import GaussianStart, StartOptions, is_small

Array = NDArray[np.float64]
METHODS = ("exact", "network")


class FlowMixture(ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMixin, BaseEstimator):
    r"""Mixture of normalizing flows: clusters of any shape, densities, samples.

    .. math:: p(x) = \sum_{k=1}^K \pi_k\, p(x \mid k)

    Before its first step the model *is* a Gaussian mixture, chosen on validation rows, and that
    state competes with all later ones: held out, it is not worse than a `GaussianMixture`.

    Args:
        n_components: K. None for as many as there are classes in y, or one without y.
        flow: recipe of the components, a name such as "realnvp" or "maf", or {"name": ...,
            keyword: value}, or a list of K of them.
        inference: "exact" maximises the mixture likelihood; "variational" the enumerated bound
            with the posterior network q(c|x) (VMoNF), whose temperature falls during training.
        algorithm: with exact inference, "gradient", or "em" for expectation steps over all rows
            each epoch with gradient maximisation steps between.
        covariance_type: of the start: "full", "tied", "diag", "spherical", or "auto" to choose
            among them and shrunk ones on validation rows.
        weights: "learned", "uniform", or K given positive numbers that stay fixed.
        init_params: "kmeans", "gmm", "random", or "auto": where y labels some rows of each class,
            those labels spread over a neighbourhood graph; else k-means and gmm where they
            disagree, keeping what ends best on validation rows.
        n_init: draws of the start; the best on validation rows is kept.
        posterior_hidden: hidden sizes of q.
        temperature_decay: rate per step of q's temperature in variational inference.
        temperature_floor: where it stops.
        reg_covar: smallest variance of the start, in units of the standardised columns, and the
            variance given to constant columns.
        levels: for integer data 0..levels-1, such as 256 for bytes: the data are dequantized and
            brought to the real line, and log-densities are lower bounds of log-probabilities.
        logit_alpha: margin of the logit for integer data.
        learning_rate: of AdamW; "auto" for 5e-3, and less for fewer than two thousand rows, where
            a flow overfits within few steps.
        weight_decay: of AdamW.
        batch_size: rows per step, at most; a quarter of the rows where there are few.
        max_epochs: upper limit; 0 leaves the Gaussian mixture.
        patience: evaluations without improvement before a run stops.
        validation_fraction: share of rows held out to choose the start and the best state.
        warm_start: go on from the last fit.
        fit_options: further settings of `anabranch.training.FitOptions`, such as ``checkpoint``,
            ``compile``, ``clip_norm`` or ``tensorboard``.
        device: "cpu", "cuda", ...
        random_state: seed or `numpy.random.RandomState`; the same seed on the same machine gives
            the same bits.
        verbose: 1 shows progress.

    Attributes:
        n_components_: K.
        weights_: (K,) mixture weights.
        lower_bound_: best validation score, mean log-density in nats, or the bound.
        converged_: whether training stopped because nothing improved.
        n_iter_: epochs run.
        history_: one dict per evaluation, see `anabranch.training.fit`.
        start_: name of the Gaussian start that was kept.
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

    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(
        self,
        n_components: int | None = None,
        *,
        flow: Any = "realnvp",
        inference: str = "exact",
        algorithm: str = "gradient",
        covariance_type: str = "auto",
        weights: Any = "learned",
        init_params: str = "auto",
        n_init: int = 1,
        posterior_hidden: Sequence[int] = (64,),
        temperature_decay: float = 1e-3,
        temperature_floor: float = 1e-2,
        reg_covar: float = 1e-6,
        levels: int | None = None,
        logit_alpha: float = 1e-6,
        learning_rate: float | str = "auto",
        weight_decay: float = 0.0,
        batch_size: int = 512,
        max_epochs: int = 500,
        patience: int = 20,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        fit_options: dict[str, Any] | None = None,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.flow = flow
        self.inference = inference
        self.algorithm = algorithm
        self.covariance_type = covariance_type
        self.weights = weights
        self.init_params = init_params
        self.n_init = n_init
        self.posterior_hidden = posterior_hidden
        self.temperature_decay = temperature_decay
        self.temperature_floor = temperature_floor
        self.reg_covar = reg_covar
        self.levels = levels
        self.logit_alpha = logit_alpha
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.fit_options = fit_options
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # -- fitting ---------------------------------------------------------------------------------

    def fit(
        self, X: Any, y: Any = None, *, X_val: Any = None, resume: bool = False
    ) -> "FlowMixture":
        """Fit the mixture.

        Args:
            X: (n, D) array or frame.
            y: labels where known, -1 where not: (n,) integers, or (n, K) probabilities with rows
                of zeros where unknown. A labelled row teaches its component and q.
            X_val: rows to choose the start and the best state on, instead of a share of X.
            resume: continue the interrupted fit whose checkpoint ``fit_options`` names, with the
                same data and settings; it ends with the same bits.

        Returns:
            The estimator.

        Raises:
            ValueError: for data or settings that cannot be used; the message says why.
        """
        X = self._validated(X, reset=True)
        self._check_components()
        targets, n_components = check_targets(y, len(X), self.n_components)
        self._check_settings(len(X), n_components)
        random_state = check_random_state(self.random_state)
        if X_val is None:
            rows, held_out = self._split(len(X), targets, random_state)
            V = X[held_out] if len(held_out) else X
        else:
            rows, V = np.arange(len(X)), self._validated(X_val, reset=False)
        targets = None if targets is None else targets[rows]
        self._fit(X[rows], V, targets, n_components, random_state, resume)
        return self

    def fit_predict(self, X: Any, y: Any = None) -> NDArray[np.int64]:
        """Fit, and give each row its component: the same as ``fit(X, y).predict(X)``."""
        return self.fit(X, y).predict(X)

    def _fit(
        self,
        X: Array,
        V: Array,
        targets: Array | None,
        n_components: int,
        random_state: np.random.RandomState,
        resume: bool,
    ) -> None:
        seed = int(random_state.randint(2**31 - 1))
        warm = self.warm_start and hasattr(self, "model_")
        if warm:
            self._check_warm(X.shape[1], n_components)
        else:
            columns = column_names(self, X.shape[1])
            constant = (
                constant_columns(X, columns, self.reg_covar)
                if self.levels is None
                else np.zeros(X.shape[1], bool)
            )
            self.constant_ = constant
            self.preparation_ = Preparation.fit(
                X, constant, levels=self.levels, alpha=self.logit_alpha, seed=seed
            )
        train_rows = self._rows(X, targets, random_state)
        validation_rows = self._rows(V, None, random_state)
        if warm:
            name, model, gaussian = (
                self.start_,
                self.model_,
                copy.deepcopy(self.model_.state_dict()),
            )
        else:
            candidates = self._candidates(
                X, train_rows, validation_rows, targets, n_components, random_state, seed
            )
            name, model, gaussian = self._winner(candidates, train_rows, validation_rows, seed)
        result = train(
            model, train_rows, validation_rows, self, gaussian=gaussian, seed=seed, resume=resume
        )
        self._keep(name, model, result, n_components=n_components)

    def _winner(
        self,
        candidates: Iterable[tuple[str, MixtureModel, Start]],
        rows: Rows,
        validation: Rows,
        seed: int,
    ) -> tuple[str, MixtureModel, dict[str, Tensor]]:
        """The model that is ahead after a few hundred steps, where there are several starts.

        It comes with the state in which it was a Gaussian mixture.
        """
        models = []
        for name, model, start in candidates:
            teach_posterior(model, rows, start.responsibilities, self, seed)
            models.append((name, model, copy.deepcopy(model.state_dict())))
            if start.trusted:
                pretrain(model, rows, validation, start.responsibilities, self, seed)
        if len(models) == 1:
            return models[0]
        scores = [race(model, rows, validation, self, seed) for _, model, _ in models]
        return models[int(np.argmin(scores))]

    def _keep(self, name: str, model: MixtureModel, result: Any, *, n_components: int) -> None:
        self.start_, self.model_ = name, model.eval()
        self.n_components_ = n_components
        self.weights_ = model.mixture.log_weights.detach().cpu().double().exp().numpy()
        self.history_ = result.history
        self.lower_bound_ = -result.best_score
        self.converged_ = result.stopped == "patience"
        self.n_iter_ = int(result.history[-1]["epoch"])
        self.fit_result_ = result

    def _candidates(
        self,
        X: Array,
        train_rows: Rows,
        validation_rows: Rows,
        targets: Array | None,
        n_components: int,
        random_state: np.random.RandomState,
        seed: int,
    ) -> Iterator[tuple[str, MixtureModel, Start]]:
        """Models set to the starts to compare, and the starts."""
        Z = train_rows.z.double().numpy()
        starts = make_starts(
            Z,
            validation_rows.z.double().numpy(),
            self.preparation_.start_features(X, Z),
            targets,
            StartOptions(n_components, self.covariance_type, self.reg_covar),
            init_params=self.init_params,
            n_init=self.n_init,
            random_state=random_state,
        )
        for start in starts:
            model = self._started(start.gaussian, X, n_components, seed)
            yield start.gaussian.name, model, start

    def _started(
        self, start: GaussianStart, X: Array, n_components: int, seed: int
    ) -> MixtureModel:
        n_rows, n_features = X.shape
        model = flow_mixture(**self._recipe(n_features, n_components), seed=seed % 2**30)
        set_start(
            model,
            start.parameters,
            self._given_weights(n_components),
            freeze=is_small(n_rows, n_components, n_features),
        )
        return model.to(self.device)

    def _recipe(self, n_features: int, n_components: int) -> dict[str, Any]:
        return {
            "features": n_features,
            "n_components": int(n_components),
            "flow": self.flow,
            "diagonal": n_features > 128,
            "inference": self.inference,
            "learn_weights": isinstance(self.weights, str) and self.weights == "learned",
            "posterior_hidden": list(self.posterior_hidden),
        }

    def _given_weights(self, n_components: int) -> Array | None:
        if isinstance(self.weights, str):
            return None if self.weights == "learned" else np.full(n_components, 1 / n_components)
        return np.asarray(self.weights, dtype=np.float64)

    def _rows(self, X: Array, targets: Array | None, random_state: np.random.RandomState) -> Rows:
        z, term = self.preparation_.encode(X)
        if self.constant_.any():
            # without this a flow could raise the density of a constant column without limit
            noise = random_state.normal(0, np.sqrt(self.reg_covar), (len(X), self.constant_.sum()))
            z[:, torch.as_tensor(self.constant_)] += torch.as_tensor(noise, dtype=z.dtype)
        return Rows(
            z,
            term.float(),
            None if targets is None else torch.as_tensor(targets, dtype=torch.float32),
            torch.as_tensor(X) if self.levels is not None else None,
        )

    def _split(
        self, n_rows: int, targets: Array | None, random_state: np.random.RandomState
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows to train on and rows held out; labelled rows are held out only if all are labelled.

        Fewer than ten rows are too few to hold any out: they are trained and scored on.
        """
        order = random_state.permutation(n_rows)
        n_held_out = 0 if n_rows < 10 else max(round(self.validation_fraction * n_rows), 2)
        known = np.zeros(n_rows, bool) if targets is None else targets.sum(axis=1) > 0
        if n_held_out < (~known).sum():
            order = order[np.argsort(known[order], kind="stable")]
        return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])

    def _check_components(self) -> None:
        given = self.n_components
        if given is not None and (not isinstance(given, Integral) or given < 1):
            raise ValueError(f"n_components must be a positive integer or None, got {given!r}")

    def _check_warm(self, n_features: int, n_components: int) -> None:
        """A warm start trains the last model, which must be the one that is asked for."""
        recipe: Any = self.model_.recipe
        old = recipe["arguments"]
        new = json.loads(json.dumps(self._recipe(n_features, n_components)))
        different = [key for key in new if old[key] != new[key]]
        if different:
            raise ValueError(
                "warm_start goes on with the last model, which differs in "
                + ", ".join(f"{key} ({old[key]!r}, now {new[key]!r})" for key in different)
                + ": fit with warm_start=False"
            )

    def _check_settings(self, n_rows: int, n_components: int) -> None:
        choices = {
            "inference": ("exact", "variational"),
            "algorithm": ("gradient", "em"),
            "init_params": INIT_PARAMS,
            "covariance_type": ("auto", "full", "tied", "diag", "spherical"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}")
        if self.algorithm == "em" and self.inference != "exact":
            raise ValueError("algorithm='em' needs inference='exact'")
        if n_rows < n_components:
            raise ValueError(
                f"X has {n_rows} rows, fewer than the {n_components} components: n_samples must "
                "be at least n_components"
            )
        if not 0 < self.validation_fraction < 1:
            raise ValueError(
                f"validation_fraction must be in (0, 1), got {self.validation_fraction}"
            )
        if self.learning_rate != "auto" and not (
            isinstance(self.learning_rate, float | int) and self.learning_rate > 0
        ):
            raise ValueError(
                f"learning_rate must be 'auto' or a positive number, got {self.learning_rate!r}"
            )
        if self.n_init < 1:
            raise ValueError(f"n_init must be at least 1, got {self.n_init}")
        if not self.reg_covar > 0:
            raise ValueError(f"reg_covar must be positive, got {self.reg_covar}")
        self._check_weights(n_components)
        fit_options(self, n_rows)  # wrong ones are refused before the search for a start

    def _check_weights(self, n_components: int) -> None:
        if isinstance(self.weights, str):
            if self.weights not in ("learned", "uniform"):
                raise ValueError(
                    f"weights must be 'learned', 'uniform' or {n_components} positive numbers, "
                    f"got {self.weights!r}"
                )
            return
        given = np.asarray(self.weights, dtype=np.float64)
        if given.shape != (n_components,) or not (given > 0).all():
            raise ValueError(f"weights must be {n_components} positive numbers, got {self.weights}")

    # -- using -----------------------------------------------------------------------------------

    def predict(self, X: Any, *, method: str | None = None) -> NDArray[np.int64]:
        """The most probable component of each row; ``method`` as in `predict_proba`."""
        return self.predict_proba(X, method=method).argmax(1)

    def predict_proba(self, X: Any, *, method: str | None = None) -> Array:
        """Probabilities of the components for each row, (n, K).

        Args:
            X: (n, D).
            method: "exact" for p(c|x) by Bayes' rule, "network" for q(c|x); by default the one
                that was trained: q in variational inference, p otherwise.
        """
        method = method or ("network" if self.inference == "variational" else "exact")
        if method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {method!r}")
        if method == "network":
            parts = [self._log_q(z).exp() for z, _ in self._batches(X)]
        else:
            parts = [torch.softmax(self._joint(z), 0) for z, _ in self._batches(X)]
        return torch.cat(parts, 1).mT.cpu().numpy()

    def transform(self, X: Any) -> Array:
        """The probabilities of ``predict_proba``, as features for what follows in a pipeline."""
        return self.predict_proba(X)

    def score_samples(self, X: Any) -> Array:
        """Log-density of each row, in nats and in the units of X, (n,)."""
        parts = [torch.logsumexp(self._joint(z), 0).cpu() + term for z, term in self._batches(X)]
        return torch.cat(parts).numpy()

    def score(  # pyright: ignore[reportIncompatibleMethodOverride] - DensityMixin returns None
        self, X: Any, y: Any = None
    ) -> float:
        """Mean of ``score_samples``."""
        return float(self.score_samples(X).mean())

    def sample(
        self, n_samples: int = 1, *, component: int | None = None, random_state: Any = None
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw rows and the components they come from.

        Args:
            n_samples: how many.
            component: draw from this component only.
            random_state: by default that of the estimator, so that an integer repeats the draws.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}")
        state = check_random_state(self.random_state if random_state is None else random_state)
        generator = torch.Generator(self.device).manual_seed(int(state.randint(2**31 - 1)))
        mixture = self.model_.mixture
        if component is None:
            z, labels = mixture.sample_with_labels(n_samples, generator=generator)
            return self.preparation_.decode(z), labels.cpu().numpy()
        z = mixture.component(component).sample(n_samples, generator=generator)
        return self.preparation_.decode(z), np.full(n_samples, component)

    def bic(self, X: Any) -> float:
        """Bayesian information criterion on X, lower is better."""
        return -2 * self.score(X) * len(X) + self._n_parameters() * np.log(len(X))

    def aic(self, X: Any) -> float:
        """Akaike information criterion on X, lower is better."""
        return -2 * self.score(X) * len(X) + 2 * self._n_parameters()

    def _n_parameters(self) -> int:
        """Free parameters of the density; the posterior network is no part of it."""
        mixture = self.model_.mixture
        learned = mixture.logits.requires_grad
        return free_parameters(mixture) - (1 if learned else self.n_components_)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    # -- inside ----------------------------------------------------------------------------------

    def _validated(self, X: Any, *, reset: bool) -> Array:
        X = validate_data(
            self,
            X,
            reset=reset,
            dtype=np.float64,
            ensure_all_finite=False,
            ensure_min_samples=2 if reset else 1,
        )
        columns = column_names(self, X.shape[1])
        check_finite(X, columns)
        if self.levels is not None:
            check_levels(X, self.levels, columns)
        elif reset:
            check_spread(X, columns)
        # frames lend their values read-only, which torch warns about
        return np.require(X, requirements="W")

    @torch.no_grad()
    def _log_q(self, z: Tensor) -> Tensor:
        return self.model_.log_q(z).double()

    def _batches(self, X: Any) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows as the flows see them, a few thousand at a time, with their log-density terms."""
        check_is_fitted(self)
        X = self._validated(X, reset=False)
        rows = max(256, min(8192, 2**24 // (X.shape[1] * self.n_components_)))
        for start in range(0, len(X), rows):
            z, term = self.preparation_.encode(X[start : start + rows])
            check_range(z, X[start : start + rows], column_names(self, X.shape[1]))
            yield z.to(self.device), term

    @torch.no_grad()
    def _joint(self, z: Tensor) -> Tensor:
        """Log p(x, c), (K, n) in float64; rows that overflow float32 are done again in float64."""
        joint = self.model_.mixture.joint_log_prob(z).double()
        overflow = ~torch.isfinite(torch.logsumexp(joint, 0))
        if bool(overflow.any()):
            precise = copy.deepcopy(self.model_.mixture).double()
            joint[:, overflow] = precise.joint_log_prob(z[overflow].double())
        return joint
