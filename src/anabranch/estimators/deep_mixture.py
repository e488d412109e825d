"""Deep clustering with a Gaussian mixture in the latent space of an autoencoder."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from anabranch.archive import Tree
from anabranch.estimators.checks import check_rows, check_shares
from anabranch.estimators.deep_plan import DeepPlan, read_start
from anabranch.estimators.estimator import Components, Json, ScoreKind, State
from anabranch.estimators.fitted import module_from, optional_tensor
from anabranch.estimators.given_start import responsibilities_of
from anabranch.estimators.groups import accepts_old_names, read_group
from anabranch.estimators.labels import check_targets
from anabranch.estimators.prepared import PreparedEstimator
from anabranch.estimators.programs import CHECKED, PosteriorScores, Prepared, Program
from anabranch.estimators.rows import split_rows
from anabranch.estimators.stages import StagedEstimator
from anabranch.models import GaussianMixtureVAE, label_log_prob
from anabranch.procedures.fit_nvisa import NvisaRows, run_nvisa
from anabranch.procedures.nvisa_options import Bound, Consistency, Course, ModelOptions, Spec
from anabranch.procedures.preparation import Preparation
from anabranch.procedures.rows import Rows
from anabranch.procedures.stages import Stages
from anabranch.training import FitResult
from anabranch.transforms import Compose, UniformDequantization

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
METHODS = (None, "exact", "network")


class DeepMixture(StagedEstimator, PreparedEstimator):
    r"""Clusters of images and feature vectors by a Gaussian-mixture variational autoencoder.

    .. math:: p(x) = \sum_y \frac1K \int \mathcal N(z; \mu_y, \sigma_y^2)\, p(x \mid z)\, dz

    Real features are standardised; integers are spread by uniform noise and scaled to [0, 1]. The
    lower bound of the standard deviations of p(x|z) and of q(z|y,x) is annealed: large at first, so
    that codes settle in clusters before the decoder turns to details, then halved again and again.

    Args:
        n_components: K; None for as many as classes in y.
        latent: L, size of the latent space.
        hidden: sizes of the hidden layers.
        network: "mlp", or {"name": "conv", "image_shape": [28, 28], ...} for images; see
            `anabranch.models.nvisa`.
        levels: number of levels of integer data, such as 256 for images; None for real data.
        model_options: further parts of the model: {"likelihood", "prior", "posterior",
            "classifier", "activation", "reg_covar"}, see
            `anabranch.procedures.nvisa_options.ModelOptions`.
        objective: "vimco", "enumerate", "iwae", "nvil" or "gumbel", or {"name": ..., "samples",
            "reparameterized", "temperature", "baseline"} of `anabranch.objectives.make_bound`, and
            "label_weight", of labelled rows, and "score_samples", draws per row in
            ``score_samples``.
        consistency: what q(y|x) learns without the bound: {"weight", "perturbation", "balance",
            "inference", "steps"}, see `anabranch.procedures.nvisa_options.Consistency`.
        schedule: what changes during a run: {"std_first", "std_last", "std_share",
            "rate_halvings", "half_precision"}, see `anabranch.procedures.nvisa_options.Course`.
        start: "autoencoder" for an autoencoder and a Gaussian mixture of its codes, "invariant" for
            an autoencoder and a q(y|x) that learns by itself to answer alike for rows and their
            perturbations, "random", or {"name": ..., "epochs": of the autoencoder}; or clusters
            that are known, as labels (n,), probabilities (n, K), or a fitted estimator, alone or as
            {"clusters": ..., "epochs": ...}.
        n_init: starts, each trained; the best on validation rows is kept. In an invariant start
            only q(y|x) is learned so often, and the one kept whose answers for rows share most
            information with those for their perturbed copies.
        learning_rate: of Adam.
        batch_size: rows per step.
        max_epochs: all of which are run, for the annealing to come to its end.
        validation_fraction: share of rows held out to choose the best state and start.
        fit_options: "keep", "best" for the state that was best on validation rows, or "last"; and
            further settings of `anabranch.training.FitOptions`.
        device: "cpu", "cuda", ...
        random_state: seed or `numpy.random.RandomState`; the same seed on the same machine gives
            the same bits.
        verbose: 1 shows progress.

    Attributes:
        n_components_: K.
        weights_: (K,) of the components, all the same.
        lower_bound_: validation score of what is kept, the mean of the trained bound, in nats and
            in the units of the data.
        converged_: whether the run came to its end without diverging.
        n_iter_: epochs run.
        history_: one dict per evaluation, see `anabranch.training.fit`.
        start_labels_: (n,) what the start alone says of the rows that were trained on, the Gaussian
            mixture of the codes or q(y|x); None for a random start.
        train_rows_: (n,) the numbers of these rows.
        model_: the `GaussianMixtureVAE`, in evaluation mode.
        preparation_: the fixed transform before it.

    Source: Li, Zhao, Xu, Chen, Xu, Li, Pei (2021), "Unsupervised clustering through Gaussian
    mixture variational autoencoder with non-reparameterized variational inference and std
    annealing".

    Example:
        >>> from sklearn.datasets import make_blobs
        >>> X, _ = make_blobs(200, 8, centers=3, random_state=0)
        >>> model = DeepMixture(3, latent=2, hidden=(16,), max_epochs=5, random_state=0).fit(X)
        >>> model.predict(X).shape, model.transform(X).shape
        ((200,), (200, 2))
    """

    logit_alpha = 1e-6
    groups: ClassVar[Mapping[str, type]] = {
        "network": dict,
        "model_options": ModelOptions,
        "objective": dict,
        "consistency": Consistency,
        "schedule": Course,
        "start": dict,
        "fit_options": dict,
    }
    old_names: ClassVar[Mapping[str, str]] = {
        **{
            name: f"model_options__{name}"
            for name in ("likelihood", "prior", "posterior", "classifier", "activation")
        },
        "reg_covar": "model_options__reg_covar",
        "objective": "objective__name",
        "samples": "objective__samples",
        "reparameterized": "objective__reparameterized",
        "label_weight": "objective__label_weight",
        "n_score_samples": "objective__score_samples",
        "consistency": "consistency__weight",
        "perturbation": "consistency__perturbation",
        "balance": "consistency__balance",
        "inference": "consistency__inference",
        "invariant_steps": "consistency__steps",
        "std_first": "schedule__std_first",
        "std_last": "schedule__std_last",
        "std_share": "schedule__std_share",
        "rate_halvings": "schedule__rate_halvings",
        "half_precision": "schedule__half_precision",
        "init_params": "start__name",
        "init_epochs": "start__epochs",
        "weight_decay": "fit_options__weight_decay",
    }
    model_: GaussianMixtureVAE

    @accepts_old_names
    def __init__(
        self,
        n_components: int | None = None,
        *,
        latent: int = 10,
        hidden: Sequence[int] = (500, 500),
        network: Spec = "mlp",
        levels: int | None = None,
        model_options: Mapping[str, object] | None = None,
        objective: Spec = "vimco",
        consistency: Mapping[str, object] | None = None,
        schedule: Mapping[str, object] | None = None,
        start: Spec | ArrayLike = "autoencoder",
        n_init: int = 1,
        learning_rate: float = 1e-3,
        batch_size: int = 128,
        max_epochs: int = 100,
        validation_fraction: float = 0.1,
        fit_options: Mapping[str, object] | None = None,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.latent = latent
        self.hidden = hidden
        self.network = network
        self.levels = levels
        self.model_options = model_options
        self.objective = objective
        self.consistency = consistency
        self.schedule = schedule
        self.start = start
        self.n_init = n_init
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.fit_options = fit_options
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # -- fitting ---------------------------------------------------------------------------------

    def _fit(self, X: ArrayLike, y: ArrayLike | None, stages: Stages) -> None:
        rows_of_X = self._validated(X, reset=True)
        plan = DeepPlan.of(self)
        clusters = plan.start.clusters
        if clusters is not None:
            clusters = responsibilities_of(clusters, rows_of_X, plan.n_components)
        given = plan.n_components if clusters is None else clusters.shape[1]
        targets, n_components = check_targets(y, len(rows_of_X), given)
        self._keep_classes(y, targets, given)
        check_rows(len(rows_of_X), n_components)
        plan.warn_of_unused(labelled=targets is not None)
        state = check_random_state(self.random_state)
        share = plan.optimisation.validation_fraction
        rows, held_out = split_rows(len(rows_of_X), targets, share, state)
        check_rows(len(rows_of_X), n_components, len(rows))
        seed = int(state.randint(2**30 - 1))
        self._prepare(rows_of_X[rows], seed)
        train = self._rows(rows_of_X[rows], None if targets is None else targets[rows], state)
        judged = rows_of_X[held_out] if len(held_out) else rows_of_X[rows]
        validation = self._rows(judged, None, state)
        device = plan.optimisation.device
        known = NvisaRows(
            train.z.to(device),
            validation.z.to(device),
            None if train.targets is None else train.targets.to(device),
            None if clusters is None else clusters[rows],
        )
        n_runs = 1 if plan.start.name == "invariant" else plan.n_init
        with stages.running():
            runs = [
                run_nvisa(plan, self._renewed(known, train, s), n_components, s, stages)
                for s in range(seed, seed + n_runs)
            ]
        model, result, labels = min(runs, key=lambda run: run[1].best_score)
        self._keep(model, replace(result, stages=stages.run), labels)
        self.train_rows_ = rows

    def _renewed(self, known: NvisaRows, train: Rows, seed: int) -> NvisaRows:
        """Rows of integers that are spread anew before each epoch."""
        raw = train.raw
        if raw is None:
            return known
        preparation = self.preparation_
        return replace(known, renew=lambda x, epoch: preparation.renew(raw, x, seed + 1 + epoch))

    def _keep(self, model: GaussianMixtureVAE, result: FitResult, labels: Labels | None) -> None:
        self._keep_run(model, result)
        self.n_components_ = model.n_components
        self.weights_ = np.full(model.n_components, 1 / model.n_components)
        self.start_labels_ = labels
        self.lower_bound_ += self._term()
        self.converged_ = result.stopped != "diverged"

    def _term(self) -> float:
        """What the preparation adds to a log-density: it is affine, and the same for all rows."""
        return float(self.preparation_.encode(np.zeros((1, self.n_features_in_)))[1])

    @property
    def reg_covar(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Variance given to constant columns."""
        return self._options.reg_covar

    @property
    def _options(self) -> ModelOptions:
        return read_group("model_options", self.model_options, ModelOptions)

    @property
    def _bits(self) -> bool:
        """Whether rows are bits, or shares, which are taken as they are."""
        return self._options.likelihood == "bernoulli"

    def _prepare(self, X: Array, seed: int) -> None:
        if not np.ptp(X, axis=0).any():
            raise ValueError(f"all {len(X)} rows of X are the same: there is nothing to cluster")
        if self._bits or self.levels is not None:
            self.constant_ = np.zeros(X.shape[1], bool)
            self.preparation_ = self._blank_preparation(X.shape[1])
        else:
            super()._prepare(X, seed)

    def _blank_preparation(self, n_features: int) -> Preparation:
        """The transform of the rows with its statistics, if it has any, still to be set."""
        if self._bits or self.levels is None:
            return Preparation(
                Preparation.empty(n_features, levels=None, alpha=0.0).transform.eval()
            )
        spread = UniformDequantization(n_features, levels=self.levels)
        return Preparation(Compose([spread]).eval(), self.levels)

    def _rows(self, X: Array, targets: Array | None, random_state: np.random.RandomState) -> Rows:
        rows = super()._rows(X, targets, random_state)
        if self._bits:
            rows.raw = None  # nothing is spread
        return rows

    def _check_values(self, X: Array, columns: list[str], *, reset: bool) -> None:
        super()._check_values(X, columns, reset=reset)
        if self._bits:
            check_shares(X, columns)

    # -- using -----------------------------------------------------------------------------------

    @torch.no_grad()
    def predict_proba(self, X: ArrayLike, *, method: str | None = None) -> Array:
        """Probabilities of the components for each row, (n, K).

        Args:
            X: (n, D).
            method: "network" or None for q(y|x); "exact" for p(y|x) by Bayes' rule, with p(x|y)
                estimated from ``objective.score_samples`` draws of z: K times the cost of a score.
        """
        if method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {method!r}")
        if method == "exact":
            model, samples = self._precise(), self._score_samples()
            scores = partial(label_log_prob, model, n_samples=samples)
            parts = [torch.cat(_scored(scores, rows, samples), 1) for rows in self._batches(X)]
        else:
            parts = [self.model_.log_q(rows.z).double() for rows in self._batches(X)]
        return torch.softmax(torch.cat(parts, 1), dim=0).mT.cpu().numpy()

    @torch.no_grad()
    def transform(self, X: ArrayLike) -> Array:
        """Latent means of rows, E_q[z|x], (n, L)."""
        precise = self._precise()
        parts = [precise.codes(rows.z.double()) for rows in self._batches(X)]
        return torch.cat(parts).cpu().numpy()

    def score_samples(self, X: ArrayLike) -> Array:
        """An estimate of log p(x) from below, in nats and in the units of X, (n,).

        The importance-weighted bound of ``objective.score_samples`` draws of (y, z); its mean is at
        most the log-density. The same noise serves all rows and calls.
        """
        model, samples = self._precise(), self._score_samples()
        scores = partial(model.importance_log_prob, n_samples=samples)
        parts = [
            torch.cat(_scored(scores, rows, samples)).cpu() + rows.term for rows in self._batches(X)
        ]
        return torch.cat(parts).numpy()

    def program(self) -> Program:
        """The posterior q(y|x) as one module; see `Estimator.program`."""
        X = self.sample(CHECKED, random_state=0)[0]
        prepared = Prepared(self.preparation_.transform)
        scores = PosteriorScores(self.model_, prepared, "log_q", self.n_components_)
        return Program(scores, {"x": X}, {"posterior": self.predict_proba(X)})

    def _score_samples(self) -> int:
        return Bound.of(self.objective).score_samples

    def _precise(self) -> GaussianMixtureVAE:
        """The model in float64, in which what a row gets does not depend on the rows beside it."""
        check_is_fitted(self)
        return copy.deepcopy(self.model_).double()

    def _draw(
        self, n: int, component: int | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        return self.model_.sample(n, component, generator)

    def _n_parameters(self) -> int:
        """Numbers of the density: prior and decoder."""
        parts = (self.model_.prior, self.model_.decoder)
        return sum(p.numel() for part in parts for p in part.parameters())

    @property
    def _n_features_out(self) -> int:
        return self.latent

    # -- what it says of itself ------------------------------------------------------------------

    takes_labels: ClassVar[bool] = True
    score_kind: ClassVar[ScoreKind] = "bound"
    posteriors: ClassVar[tuple[str, ...]] = ("exact", "network")
    components: ClassVar[Components] = "required"

    @property
    def started_from(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Rows, and the clusters that the start alone gave them."""
        return None if self.start_labels_ is None else (self.train_rows_, self.start_labels_)

    def facts(self) -> dict[str, Json]:
        """What there is to know of a fit; see `Estimator.facts`."""
        score = {"score_is": "validation bound", "start": read_start(self.start).name}
        return super().facts() | score

    def state(self) -> dict[str, Tree]:
        """What ``fit`` has found; see `Estimator.state`."""
        return super().state() | {
            "start_labels": optional_tensor(self.start_labels_),
            "train_rows": torch.as_tensor(self.train_rows_),
        }

    def _restore(self, state: State) -> None:
        super()._restore(state)
        labels = state["start_labels"]
        labels = None if labels is None else labels.numpy()
        self._keep(module_from(state["model"]), FitResult(**state["result"]), labels)
        self.train_rows_ = state["train_rows"].numpy()


def _scored(score: Callable[[Tensor], Tensor], rows: Rows, n_samples: int) -> list[Tensor]:
    """Scores of rows in float64, as many at a time as memory allows."""
    size = max(1, 2**22 // (n_samples * rows.z.shape[1]))
    return [score(part) for part in rows.z.double().split(size)]
