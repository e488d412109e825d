"""Deep clustering with a Gaussian mixture in the latent space of an autoencoder."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from anabranch.archive import Tree
from anabranch.estimators.deep_settings import (
    check_deep_settings,
    deep_options,
    inference,
    regularisation,
    schedules,
)
from anabranch.estimators.estimator import Components, Json, ScoreKind, State
from anabranch.estimators.fitted import module_from, optional_tensor
from anabranch.estimators.invariance import Lessons, teach
from anabranch.estimators.labels import check_targets
from anabranch.estimators.preparation import Preparation
from anabranch.estimators.prepared import PreparedEstimator
from anabranch.estimators.rows import Rows
from anabranch.estimators.stages import Stages, fit_stages, stage_files
from anabranch.models import GaussianMixtureVAE, gmvae, label_log_prob
from anabranch.procedures import start_from_codes
from anabranch.training import FitResult
from anabranch.transforms import Compose, UniformDequantization

Array = NDArray[np.float64]
METHODS = (None, "exact", "network")


class DeepMixture(PreparedEstimator):
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
            `anabranch.models.gmvae`.
        prior: "gaussian", or a flow for each cluster, such as {"name": "realnvp", "n_layers": 4}.
        likelihood: "gaussian", or "bernoulli" for values in [0, 1].
        posterior: "structured" for q(z|y,x), "mean_field" for q(z|x).
        classifier: network of q(y|x); None for one like the encoder, or see
            `anabranch.models.mixtures.posterior.make_posterior`.
        objective: "vimco", "enumerate", "iwae", "nvil" or "gumbel"; see `GaussianMixtureVAE`.
        samples: M, draws per row in training; None for 15 in "vimco" and "iwae", 1 in the others.
        reparameterized: whether gradients flow through z in "vimco" and "nvil".
        activation: of the networks.
        inference: "variational", or "invariant" for a q(y|x) that learns from consistency, balance
            and labels alone, and a bound that takes it as given; None for "invariant" after an
            invariant start, else "variational".
        init_params: "autoencoder" to start from an autoencoder and a Gaussian mixture of its codes,
            "invariant" for an autoencoder and a q(y|x) that learns by itself to answer alike for
            rows and their perturbations, or "random".
        invariant_steps: of that q(y|x), by itself, ``n_init`` times.
        init_epochs: of the autoencoder, and of q(y|x) that is taught the mixture.
        n_init: starts, each trained; the best on validation rows is kept. In an invariant start
            only q(y|x) is learned so often, and the one kept whose answers for rows share most
            information with those for their perturbed copies.
        std_first: first bound of standard deviations; "auto" for :math:`\min(1, \sqrt{D/784})`,
            None for no annealing.
        std_last: the last one.
        std_share: share of the epochs until the last one.
        rate_halvings: how often the learning rate is halved, at equal distances.
        consistency: weight of the consistency of q(y|x) under a perturbation, in nats; None for 1
            where something is "invariant", else 0.
        perturbation: "noise", "affine", "adversarial" or {"name": ..., keyword: value}.
        balance: weight of H(q(y|x)) - 4 H(mean q); goes with consistency; None for a fifth of
            that weight where something is "invariant", else 0.
        label_weight: weight of the cross-entropy on labelled rows.
        n_score_samples: S, draws per row in ``score_samples``.
        reg_covar: variance given to constant columns, in units of the standardised columns.
        levels: number of levels of integer data, such as 256 for images; None for real data.
        learning_rate: of Adam.
        weight_decay: of AdamW.
        batch_size: rows per step.
        half_precision: train with the networks in bfloat16, which modern processors do faster; the
            start and the last tenth of the steps are in float32, for what rounding held back.
        max_epochs: all of which are run, for the annealing to come to its end.
        validation_fraction: share of rows held out to choose the best state and start.
        fit_options: further settings of `anabranch.training.FitOptions`.
        device: "cpu", "cuda", ...
        random_state: seed or `numpy.random.RandomState`; the same seed on the same machine gives
            the same bits.
        verbose: 1 shows progress.

    Attributes:
        n_components_: K.
        weights_: (K,) of the components, all the same.
        lower_bound_: best validation score, the mean of the trained bound, in nats and in the units
            of the data.
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

    def __init__(
        self,
        n_components: int | None = None,
        *,
        latent: int = 10,
        hidden: Sequence[int] = (500, 500),
        network: Any = "mlp",
        prior: Any = "gaussian",
        likelihood: str = "gaussian",
        posterior: str = "structured",
        classifier: Any = None,
        objective: str = "vimco",
        samples: int | None = None,
        reparameterized: bool = False,
        activation: str = "relu",
        inference: str | None = None,
        init_params: str = "autoencoder",
        invariant_steps: int = 2000,
        init_epochs: int = 20,
        n_init: int = 1,
        std_first: float | str | None = "auto",
        std_last: float = 1e-2,
        std_share: float = 0.8,
        rate_halvings: int = 4,
        consistency: float | None = None,
        perturbation: Any = None,
        balance: float | None = None,
        label_weight: float = 1.0,
        n_score_samples: int = 100,
        reg_covar: float = 1e-6,
        levels: int | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int = 128,
        half_precision: bool = False,
        max_epochs: int = 100,
        validation_fraction: float = 0.1,
        fit_options: dict[str, Any] | None = None,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.latent = latent
        self.hidden = hidden
        self.network = network
        self.prior = prior
        self.likelihood = likelihood
        self.posterior = posterior
        self.classifier = classifier
        self.objective = objective
        self.samples = samples
        self.reparameterized = reparameterized
        self.activation = activation
        self.inference = inference
        self.init_params = init_params
        self.invariant_steps = invariant_steps
        self.init_epochs = init_epochs
        self.n_init = n_init
        self.std_first = std_first
        self.std_last = std_last
        self.std_share = std_share
        self.rate_halvings = rate_halvings
        self.consistency = consistency
        self.perturbation = perturbation
        self.balance = balance
        self.label_weight = label_weight
        self.n_score_samples = n_score_samples
        self.reg_covar = reg_covar
        self.levels = levels
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.half_precision = half_precision
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.fit_options = fit_options
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # -- fitting ---------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, *, resume: bool = False) -> Self:
        """Fit the model.

        Args:
            X: (n, D) array or frame; images as rows of pixels.
            y: labels where known, -1 where not: (n,) integers, or (n, K) probabilities with rows
                of zeros where unknown.
            resume: continue the interrupted fit whose checkpoint ``fit_options`` names, with the
                same data and settings; it ends with the same bits. Each run of the fit loop has a
                file of its own, the name of the checkpoint with ".network-0", ".autoencoder-0",
                ".classifier-0", ".bound-0", ... behind; they are removed in the end. What lies
                between, such as the mixture of the codes, is run again.

        Returns:
            The estimator.

        Raises:
            ValueError: for data or settings that cannot be used; the message says why.
        """
        stages = Stages.of(self, resume=resume)
        self._fit(X, y, stages)
        stages.remove()
        return self

    def _fit(self, X: Any, y: Any, stages: Stages) -> None:
        X = self._validated(X, reset=True)
        targets, n_components = check_targets(y, len(X), self.n_components)
        check_deep_settings(self, len(X), n_components)
        state = check_random_state(self.random_state)
        rows, held_out = self._split(len(X), targets, state)
        seed = int(state.randint(2**30 - 1))
        self._prepare(X[rows], seed)
        train = self._rows(X[rows], None if targets is None else targets[rows], state)
        validation = self._rows(X[held_out] if len(held_out) else X[rows], None, state)
        n_runs = 1 if self.init_params == "invariant" else self.n_init
        with stages.running():
            runs = [
                self._run(train, validation, n_components, seed + i, stages) for i in range(n_runs)
            ]
        self._keep(*min(runs, key=lambda run: run[1].best_score))
        self.train_rows_ = rows

    def _run(
        self,
        train: Rows,
        validation: Rows,
        n_components: int,
        seed: int,
        stages: Stages,
    ) -> tuple[GaussianMixtureVAE, FitResult, NDArray[np.int64] | None]:
        """A model from its own start, trained; and what the start says of the rows."""
        options = deep_options(self, len(train.z), checkpoint=None)
        model: Any = gmvae(**self._recipe(train.z.shape[1], n_components), seed=seed)
        model = model.to(self.device)
        labels = self._start(model, train, seed, stages)
        model.generator = torch.Generator(self.device).manual_seed(seed)
        data = {"x": train.z.to(self.device, copy=True)}
        if train.targets is not None:
            data["targets"] = train.targets.to(self.device)
        result = stages.loop("bound")(
            model,
            data,
            {"x": validation.z.to(self.device)},
            options=options,
            schedules=schedules(self, model, options, (len(train.z), train.z.shape[1])),
            generator=torch.Generator().manual_seed(seed),
            on_epoch=self._fresh_noise(train, data, seed),
        )
        return model, result, labels

    def _start(
        self, model: Any, train: Rows, seed: int, stages: Stages
    ) -> NDArray[np.int64] | None:
        """Set a model to its start; what that says of the rows."""
        if self.init_params == "random":
            return None
        x = train.z.to(self.device)
        targets = None if train.targets is None else train.targets.double().numpy()
        given = None
        if self.init_params == "invariant":
            given = teach(model.classifier, x, self._lessons(model, stages), seed, targets)
        R = start_from_codes(
            model,
            x,
            targets=targets,
            responsibilities=given,
            options=deep_options(self, len(x), max_epochs=self.init_epochs),
            random_state=np.random.RandomState(seed),
            loops=(stages.loop("autoencoder"), stages.loop("classifier")),
        )
        return R.argmax(1)

    def _lessons(self, model: Any, stages: Stages) -> Lessons:
        return Lessons(
            model.perturbation,
            model.n_components,
            model.balance_weight / model.consistency_weight,
            self.invariant_steps,
            self.n_init,
            None if self.verbose else False,
            stages,
        )

    def _fresh_noise(
        self, train: Rows, data: dict[str, Tensor], seed: int
    ) -> Callable[[int], None] | None:
        """Spread integers anew before each epoch."""
        raw = train.raw
        if raw is None:
            return None
        return lambda epoch: self.preparation_.renew(raw, data["x"], seed + 1 + epoch)

    def _keep(
        self, model: GaussianMixtureVAE, result: FitResult, labels: NDArray[np.int64] | None
    ) -> None:
        # both of training, which is over
        model.generator, model.half_precision = None, False
        self.model_: Any = model.eval()
        self.n_components_ = model.n_components
        self.weights_ = np.full(model.n_components, 1 / model.n_components)
        self.start_labels_ = labels
        self.fit_result_ = result
        self.history_ = result.history
        self.lower_bound_ = -result.best_score + self._term()
        self.converged_ = result.stopped != "diverged"
        self.n_iter_ = int(result.history[-1]["epoch"])

    def _term(self) -> float:
        """What the preparation adds to a log-density: it is affine, and the same for all rows."""
        return float(self.preparation_.encode(np.zeros((1, self.n_features_in_)))[1])

    def _recipe(self, n_features: int, n_components: int) -> dict[str, Any]:
        same = ("latent", "network", "prior", "likelihood", "posterior", "classifier")
        same += ("objective", "samples")
        same += ("reparameterized", "activation", "perturbation", "label_weight")
        return {
            "features": n_features,
            "n_components": int(n_components),
            "hidden": [int(size) for size in self.hidden],
            "floor": float(self.std_last),
            "inference": inference(self),
            **regularisation(self),
            **{name: getattr(self, name) for name in same},
        }

    def _prepare(self, X: Array, seed: int) -> None:
        if not np.ptp(X, axis=0).any():
            raise ValueError(f"all {len(X)} rows of X are the same: there is nothing to cluster")
        if self.likelihood == "bernoulli" or self.levels is not None:
            self.constant_ = np.zeros(X.shape[1], bool)
            self.preparation_ = self._blank_preparation(X.shape[1])
        else:
            super()._prepare(X, seed)

    def _blank_preparation(self, n_features: int) -> Preparation:
        """The transform of the rows with its statistics, if it has any, still to be set."""
        if self.likelihood == "bernoulli" or self.levels is None:
            return Preparation(
                Preparation.empty(n_features, levels=None, alpha=0.0).transform.eval()
            )
        spread = UniformDequantization(n_features, levels=self.levels)
        return Preparation(Compose([spread]).eval(), self.levels)

    def _rows(self, X: Array, targets: Array | None, random_state: np.random.RandomState) -> Rows:
        rows = super()._rows(X, targets, random_state)
        if self.likelihood == "bernoulli":
            rows.raw = None  # nothing is spread
        return rows

    def _check_values(self, X: Array, columns: list[str], *, reset: bool) -> None:
        super()._check_values(X, columns, reset=reset)
        if self.likelihood != "bernoulli":
            return
        bad = (X < 0) | (X > 1)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise ValueError(
                f"likelihood='bernoulli' needs values in [0, 1], got {X[row, column]:g} in column "
                f"{columns[int(column)]!r}, row {row}: divide images by their highest level"
            )

    # -- using -----------------------------------------------------------------------------------

    @torch.no_grad()
    def predict_proba(self, X: Any, *, method: str | None = None) -> Array:
        """Probabilities of the components for each row, (n, K).

        Args:
            X: (n, D).
            method: "network" or None for q(y|x); "exact" for p(y|x) by Bayes' rule, with p(x|y)
                estimated from ``n_score_samples`` draws of z: K times the cost of a score.
        """
        if method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {method!r}")
        if method == "exact":
            scores = partial(label_log_prob, self._precise(), n_samples=self.n_score_samples)
            parts = [torch.cat(self._scored(scores, rows), 1) for rows in self._batches(X)]
        else:
            parts = [self.model_.log_q(rows.z).double() for rows in self._batches(X)]
        return torch.softmax(torch.cat(parts, 1), dim=0).mT.cpu().numpy()

    def _scored(self, score: Callable[[Tensor], Tensor], rows: Rows) -> list[Tensor]:
        """Scores of rows in float64, as many at a time as memory allows."""
        size = max(1, 2**22 // (self.n_score_samples * rows.z.shape[1]))
        return [score(part) for part in rows.z.double().split(size)]

    @torch.no_grad()
    def transform(self, X: Any) -> Array:
        """Latent means of rows, E_q[z|x], (n, L)."""
        precise = self._precise()
        parts = [precise.codes(rows.z.double()) for rows in self._batches(X)]
        return torch.cat(parts).cpu().numpy()

    def score_samples(self, X: Any) -> Array:
        """An estimate of log p(x) from below, in nats and in the units of X, (n,).

        The importance-weighted bound of ``n_score_samples`` draws of (y, z); its mean is at most
        the log-density. The same noise serves all rows and calls.
        """
        score = partial(self._precise().importance_log_prob, n_samples=self.n_score_samples)
        parts = [
            torch.cat(self._scored(score, rows)).cpu() + rows.term for rows in self._batches(X)
        ]
        return torch.cat(parts).numpy()

    def _precise(self) -> GaussianMixtureVAE:
        """The model in float64, in which what a row gets does not depend on the rows beside it."""
        check_is_fitted(self)
        precise = copy.deepcopy(self.model_).double()
        precise.half_precision = False
        return precise

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

    @classmethod
    def checkpoint_files(cls, path: Path) -> list[Path]:
        """The files of the stages of an unfinished fit."""
        return stage_files(path)

    def fit_keeping_checkpoint(
        self, X: ArrayLike, y: ArrayLike | None = None, *, resume: bool = False, **given: Any
    ) -> Self:
        """Fit, and leave the checkpoints of the stages."""
        fit_stages(self, X, y, **given, resume=resume)
        return self

    def facts(self) -> dict[str, Json]:
        """What there is to know of a fit; see `Estimator.facts`."""
        score = {"score_is": "validation bound", "start": self.init_params}
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
