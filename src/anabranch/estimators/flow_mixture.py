"""FlowMixture: GaussianMixture's contract, with flows for components."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from torch import Tensor

from anabranch.algorithms.gaussians import GaussianStart, is_small
from anabranch.archive import Tree
from anabranch.estimators.annihilation import annihilated
from anabranch.estimators.counting import free_parameters
from anabranch.estimators.estimator import Components, Json, State
from anabranch.estimators.fitted import module_from
from anabranch.estimators.invariance import teach_invariance
from anabranch.estimators.labels import check_targets
from anabranch.estimators.prepared import PreparedEstimator
from anabranch.estimators.rows import Rows
from anabranch.estimators.settings import (
    check_components,
    check_settings,
    check_warm,
    regularisation,
    start_options,
)
from anabranch.estimators.starts import Start, make_starts, set_start
from anabranch.estimators.trainer import fit_options, pretrain, race, teach_posterior, train
from anabranch.models import MixtureModel, flow_mixture
from anabranch.training import FitResult

Array = NDArray[np.float64]
METHODS = ("exact", "network")


class FlowMixture(PreparedEstimator):
    r"""Mixture of normalizing flows: clusters of any shape, densities, samples.

    .. math:: p(x) = \sum_{k=1}^K \pi_k\, p(x \mid k)

    Before its first step the model *is* a Gaussian mixture, chosen on validation rows, and that
    state competes with all later ones: held out, it is not worse than a `GaussianMixture`.

    Args:
        n_components: K. None for as many as there are classes in y, or one without y; "auto" to
            begin with ``max_components`` and take out those that are not worth their cost.
        max_components: where "auto" begins.
        component_cost: of "auto", the share of the rows that a component must own to live.
        flow: recipe of the components, a name such as "realnvp" or "maf", or {"name": ...,
            keyword: value}, or a list of K of them; None for Gaussians.
        trunk: recipe of a flow between the data and all components, which share it (fewer
            parameters); None for none.
        inference: "exact" maximises the mixture likelihood; "variational" the enumerated bound
            with the posterior network q(c|x) (VMoNF), whose temperature falls during training;
            "invariant" trains q by consistency and balance alone, first by itself and then beside
            the components that are fitted to what it gives them: the way for images.
        algorithm: with exact inference, "gradient", or "em" for expectation steps over all rows
            each epoch with gradient maximisation steps between.
        covariance_type: of the start: "full", "tied", "diag", "spherical", or "auto" to choose
            among them and shrunk ones on validation rows.
        weights: "learned" by gradients; set before every epoch to the mean over all rows of
            p(c|x), "exact", or of q(c|x), "network"; "uniform", or K given positive numbers that
            stay fixed.
        init_params: "kmeans", "gmm", "random", or "auto": where y labels some rows of each class,
            those labels spread over a neighbourhood graph; else k-means and gmm where they
            disagree, keeping what ends best on validation rows; or "spectral", a cut of the
            neighbourhood graph, where gaps in the data set regions apart that they miss.
        n_init: draws of the start; the best on validation rows is kept.
        posterior: network of q, "mlp", "conv", or {"name": ..., keyword: value}.
        temperature_decay: rate of q's temperature in variational inference.
        temperature_floor: where it stops.
        temperature_unit: what the rate counts, "step" or "epoch".
        consistency: weight of the divergence between q(c|x) and q(c|x') at a perturbed point, in
            nats; by default 1 in invariant inference, else 0 for none.
        perturbation: "noise", "affine" (images), "adversarial", or {"name": ..., keyword: value},
            see `anabranch.objectives.perturbations`; by default small noise.
        balance: weight of H(q(c|x)) - 4 H(mean q): certain answers that use all components; by
            default 0.2 in invariant inference, else 0.
        invariant_steps: in invariant inference, steps of training q by itself, ``n_init`` times.
        semi_supervised: "joint" for labelled and unlabelled rows in each step, "alternate" for an
            epoch of each kind in turn.
        pretrain_epochs: epochs on labelled rows alone before the others.
        label_weight: what a labelled row counts, beside an unlabelled one.
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
        patience: evaluations without improvement before a run stops; None to run ``max_epochs``,
            the learning rate falling along a cosine.
        validation_fraction: share of rows held out to choose the start and the best state.
        warm_start: go on from the last fit.
        snapshots: states of the model to keep over the training, at most, for an animation of it
            (`anabranch.reports.save_animation`); 0 for none. Each is as large as the model.
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

    def __init__(
        self,
        n_components: int | str | None = None,
        *,
        max_components: int = 10,
        component_cost: float = 0.0075,
        flow: Any = "realnvp",
        trunk: Any = None,
        inference: str = "exact",
        algorithm: str = "gradient",
        covariance_type: str = "auto",
        weights: Any = "learned",
        init_params: str = "auto",
        n_init: int = 1,
        posterior: Any = "mlp",
        temperature_decay: float = 1e-3,
        temperature_floor: float = 1e-2,
        temperature_unit: str = "step",
        consistency: float | None = None,
        perturbation: Any = None,
        balance: float | None = None,
        invariant_steps: int = 2000,
        semi_supervised: str = "joint",
        pretrain_epochs: int = 0,
        label_weight: float = 1.0,
        reg_covar: float = 1e-6,
        levels: int | None = None,
        logit_alpha: float = 1e-6,
        learning_rate: float | str = "auto",
        weight_decay: float = 0.0,
        batch_size: int = 512,
        max_epochs: int = 500,
        patience: int | None = 20,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        snapshots: int = 0,
        fit_options: dict[str, Any] | None = None,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.max_components = max_components
        self.component_cost = component_cost
        self.flow = flow
        self.trunk = trunk
        self.inference = inference
        self.algorithm = algorithm
        self.covariance_type = covariance_type
        self.weights = weights
        self.init_params = init_params
        self.n_init = n_init
        self.posterior = posterior
        self.temperature_decay = temperature_decay
        self.temperature_floor = temperature_floor
        self.temperature_unit = temperature_unit
        self.consistency = consistency
        self.perturbation = perturbation
        self.balance = balance
        self.invariant_steps = invariant_steps
        self.semi_supervised = semi_supervised
        self.pretrain_epochs = pretrain_epochs
        self.label_weight = label_weight
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
        self.snapshots = snapshots
        self.fit_options = fit_options
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # -- fitting ---------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, *, X_val: Any = None, resume: bool = False) -> Self:
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
        check_components(self.n_components)
        auto = self.n_components == "auto"
        wanted: Any = self.max_components if auto else self.n_components
        targets, n_components = check_targets(y, len(X), wanted)
        if auto and targets is not None:
            raise ValueError("n_components='auto' finds as many as there are: leave y out")
        check_settings(self, len(X), n_components)
        fit_options(self, len(X))  # wrong ones are refused before the search for a start
        random_state = check_random_state(self.random_state)
        if X_val is None:
            rows, held_out = self._split(len(X), targets, random_state)
            V = X[held_out] if len(held_out) else X
        else:
            rows, V = np.arange(len(X)), self._validated(X_val, reset=False)
        targets = None if targets is None else targets[rows]
        self._fit(X[rows], V, targets, n_components, random_state, resume)
        return self

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
            recipe: Any = self.model_.recipe
            if self.n_components == "auto":
                n_components = self.n_components_
            check_warm(recipe["arguments"], self._recipe(X.shape[1], n_components))
        else:
            self._prepare(X, seed)
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
            if self.n_components == "auto":
                model = annihilated(model, train_rows, validation_rows, self, seed)
                gaussian = copy.deepcopy(model.state_dict())
        result, snapshots = train(
            model, train_rows, validation_rows, self, gaussian=gaussian, seed=seed, resume=resume
        )
        self._keep(name, model, result, snapshots)

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
            if self.inference != "invariant":
                teach_posterior(model, rows, start.responsibilities, self, seed)
            models.append((name, model, copy.deepcopy(model.state_dict())))
            if start.trusted:
                pretrain(model, rows, validation, start.responsibilities, self, seed)
        if len(models) == 1:
            return models[0]
        scores = [race(model, rows, validation, self, seed) for _, model, _ in models]
        return models[int(np.argmin(scores))]

    def _keep(
        self,
        name: str,
        model: MixtureModel,
        result: FitResult,
        snapshots: list[tuple[int, dict[str, Tensor]]],
    ) -> None:
        self.start_, self.model_, self.snapshots_ = name, model.eval(), snapshots
        self.n_components_ = model.mixture.n_components
        model.generator = None  # of the perturbations in training, which is over
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
        given = network = None
        if self.inference == "invariant":
            blank = flow_mixture(**self._recipe(X.shape[1], n_components), seed=seed % 2**30)
            given = teach_invariance(blank.to(self.device), train_rows, self, seed)
            network = blank.posterior.state_dict()
        starts = make_starts(
            Z,
            validation_rows.z.double().numpy(),
            self.preparation_.start_features(X, Z),
            targets,
            start_options(self, n_components),
            init_params=self.init_params,
            n_init=1 if given is not None else self.n_init,
            random_state=random_state,
            given=given,
        )
        for start in starts:
            model = self._started(start.gaussian, X, n_components, seed)
            if network is not None:
                model.posterior.load_state_dict(network)
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
        model.generator = torch.Generator().manual_seed(seed)
        return model.to(self.device)

    def _recipe(self, n_features: int, n_components: int) -> dict[str, Any]:
        return {
            "features": n_features,
            "n_components": int(n_components),
            "flow": self.flow,
            "trunk": self.trunk,
            "diagonal": n_features > 128,
            "inference": self.inference,
            "learn_weights": isinstance(self.weights, str) and self.weights == "learned",
            "posterior": self.posterior,
            "perturbation": self.perturbation,
            **regularisation(self),
            "label_weight": float(self.label_weight),
        }

    def _given_weights(self, n_components: int) -> Array | None:
        if isinstance(self.weights, str):
            return np.full(n_components, 1 / n_components) if self.weights == "uniform" else None
        return np.asarray(self.weights, dtype=np.float64)

    # -- using -----------------------------------------------------------------------------------

    def predict_proba(self, X: Any, *, method: str | None = None) -> Array:
        """Probabilities of the components for each row, (n, K).

        Args:
            X: (n, D).
            method: "exact" for p(c|x) by Bayes' rule, "network" for q(c|x); by default the one
                that was trained: p in exact inference, q otherwise.
        """
        method = method or ("exact" if self.inference == "exact" else "network")
        if method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {method!r}")
        if method == "network":
            parts = [self._log_q(seen).exp() for seen in self._seen(X)]
        else:
            parts = [torch.softmax(self._joint(rows.z), 0) for rows in self._batches(X)]
        return torch.cat(parts, 1).mT.cpu().numpy()

    def score_samples(self, X: Any) -> Array:
        """Log-density of each row, in nats and in the units of X, (n,)."""
        parts = [
            torch.logsumexp(self._joint(rows.z), 0).cpu() + rows.term for rows in self._batches(X)
        ]
        return torch.cat(parts).numpy()

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
        mixture = self.model_.mixture
        learned = mixture.logits.requires_grad
        return free_parameters(mixture) - (1 if learned else self.n_components_)

    @torch.no_grad()
    def _log_q(self, z: Tensor) -> Tensor:
        return self.model_.log_q(z).double()

    @torch.no_grad()
    def _joint(self, z: Tensor) -> Tensor:
        """Log p(x, c), (K, n) in float64; rows that overflow float32 are done again in float64."""
        joint = self.model_.mixture.joint_log_prob(z).double()
        overflow = ~torch.isfinite(torch.logsumexp(joint, 0))
        if bool(overflow.any()):
            precise = copy.deepcopy(self.model_.mixture).double()
            joint[:, overflow] = precise.joint_log_prob(z[overflow].double())
        return joint

    # -- what it says of itself ------------------------------------------------------------------

    takes_labels: ClassVar[bool] = True
    posteriors: ClassVar[tuple[str, ...]] = METHODS
    components: ClassVar[Components] = "searched"

    def facts(self) -> dict[str, Json]:
        """What there is to know of a fit; see `Estimator.facts`."""
        bound = {"score_is": "validation bound"} if self.inference == "variational" else {}
        return super().facts() | bound | {"start": self.start_}

    def state(self) -> dict[str, Tree]:
        """What ``fit`` has found; see `Estimator.state`."""
        snapshots = [{"step": step, "state": state} for step, state in self.snapshots_]
        return super().state() | {"start": self.start_, "snapshots": snapshots}

    def _restore(self, state: State) -> None:
        super()._restore(state)
        snapshots = [(item["step"], item["state"]) for item in state["snapshots"]]
        model, result = module_from(state["model"]), FitResult(**state["result"])
        self._keep(state["start"], model, result, snapshots)
