"""DeepClustering: clusters in the code of an autoencoder."""

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from anabranch.archive import Tree
from anabranch.estimators.checks import check_range, check_rows, column_names
from anabranch.estimators.clustering_plan import ClusteringPlan, Pretrain
from anabranch.estimators.estimator import Components, Json, ScoreKind, State
from anabranch.estimators.fitted import (
    module_facts,
    module_from,
    module_state,
    result_facts,
    result_state,
)
from anabranch.estimators.gaussian_mixture import GaussianMixture
from anabranch.estimators.given_start import responsibilities_of
from anabranch.estimators.groups import accepts_old_names
from anabranch.estimators.programs import CHECKED, PosteriorScores, Prepared, Program
from anabranch.estimators.stages import StagedEstimator
from anabranch.estimators.unused import warn_unused
from anabranch.procedures import log_responsibilities
from anabranch.procedures.cluster_watch import PART
from anabranch.procedures.clustering_task import (
    ClusteringTask,
    CodeMixture,
    CodeModel,
    encode,
)
from anabranch.procedures.preparation import Preparation
from anabranch.procedures.stages import Stages
from anabranch.training import FitResult

Array = NDArray[np.float64]


class DeepClustering(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, StagedEstimator
):
    r"""Clusters of the codes that an autoencoder makes of rows, by one of the published methods.

    - "ae+gmm": an autoencoder, then a Gaussian mixture on its codes.
    - "vae+gmm": a variational autoencoder, then a Gaussian mixture on the means of its codes.
    - "dec": k-means on the codes of an autoencoder, then centres and encoder are trained to be
      more certain of the same clusters.
    - "idec": likewise, while the decoder still has to find the rows again.
    - "vade": the Gaussian mixture becomes the prior of a variational autoencoder.
    - "gmvae": likewise, and its components are functions of a further latent. With
      ``pretrain={"epochs": 0}`` it starts from random networks, as published.
    - "svae": a Bayesian mixture becomes the prior, with posteriors of its weights, means and
      covariances. ``n_components`` is an upper limit: components that overlap are merged at the
      start, and the others have no weight.
    - "ltvae-gmm": a Gaussian mixture with full covariances becomes the prior, fitted by stepwise
      EM while the networks are trained.
    - "ltvae": a tree of discrete variables becomes the prior, each a clustering of at most
      ``n_components``; see ``predict_facets``.
    - "mixae": a mixture of autoencoders, one for each cluster, from k-means on the codes of one;
      with ``pretrain={"epochs": 0}`` from random networks, as published. Its codes are those of all
      beside each other. Give them hidden layers and codes far smaller than the defaults, by
      ``model_options={"hidden": (100,), "latent": 4}``.
    - "gmgan": a generator that draws clusters from a Gaussian each, against a critic; a classifier
      learns from draws, and its last hidden layer is the code.

    They find clusters, and no density in the units of the data: there are no scores and no samples.

    Args:
        n_components: K.
        method: see above.
        method_options: settings of the method by name, such as {"refresh": 140} of "dec"; see
            below.
        latent: size of a code.
        hidden: hidden sizes of the encoder; the decoder has them in reverse.
        levels: for integers 0..levels-1, such as 256 for bytes: columns are taken as shares of the
            highest level. None for real columns, which are standardised.
        model_options: further keywords of the recipe of the method, such as {"hidden_prior": [50]}
            of `anabranch.models.gmvae`; and "likelihood": "gaussian" for squared errors,
            "bernoulli" for cross-entropies, with ``levels`` only and by default there.
        start: a fitted DeepClustering of the same sizes, by "ae+gmm" (by "vae+gmm" for a method
            that starts from a variational autoencoder), whose autoencoder and preparation of
            columns are taken over instead of training one; or clusters of the rows to start from
            in place of those that are found in the codes: labels (n,) in 0..K-1, or
            probabilities (n, K). `sklearn.clone` takes fits away: where there is a search or a
            pipeline, wrap an estimator in `sklearn.frozen.FrozenEstimator`.
        pretrain: of the autoencoder that a method starts from: "epochs", their upper limit (100),
            and "corruption", the share of features hidden from the encoder (0).
        max_epochs: upper limit for the training of codes and clusters together.
        learning_rate: of the autoencoder, by AdamW; that of codes and clusters together is among
            ``method_options``.
        weight_decay: of AdamW.
        batch_size: rows per step, at most; a quarter of the rows where there are few.
        patience: evaluations without improvement before the autoencoder or a bound stops.
        validation_fraction: share of rows held out to choose the best states.
        fit_options: "keep", "best" for the state of codes and clusters that a score on held-out
            rows finds best, "last" for the last one ("dec", "idec" and "gmgan" have no such score,
            and end in their last state); and further settings of `anabranch.training.FitOptions`.
        device: "cpu", "cuda", ...
        random_state: seed or `numpy.random.RandomState`; the same seed on the same machine gives
            the same bits.
        verbose: 1 shows progress.

    ``method_options`` are, with their defaults:

    - of all but "ae+gmm" and "vae+gmm": "learning_rate" of codes and clusters together: 1e-4 in
      "dec", 2e-3 in "vade", 3e-3 in "mixae", 1e-3 in the others;
    - "ae+gmm", "vae+gmm": "covariance_type" ("full") and "n_init" (10) of the mixture;
    - "dec", "idec": "alpha" (1), degrees of freedom of the assignments; "refresh" (140), steps
      between two renewals of the targets; "tol" (1e-3): they end when a smaller share of rows
      changes from one renewal to the next; in "idec" "reconstruction" (10), weight of the error per
      feature;
    - "vade", "gmvae", "ltvae-gmm": "n_init" (10), starts of their mixture;
    - "gmvae": "information" (three quarters of log K) and "entropy" (0), see
      `anabranch.procedures.fit_gmvae`;
    - "svae": "n_init" and "rate" (0.01) of natural gradients, see `anabranch.procedures.fit_svae`;
    - "ltvae-gmm", "ltvae": "rounds" (2) and "eta" (0.05), see `anabranch.procedures.fit_ltvae`;
    - "mixae": "certainty" (0.1), "balance" (0.5) and "start_epochs" (20), see
      `anabranch.procedures.fit_mixae`;
    - "gmgan": "loss" ("nonsaturating"), "penalty", "critic_steps" (1) and "n_drawn" (8000), see
      `anabranch.procedures.fit_gmgan`.

    Attributes:
        n_components_: K.
        labels_: (n,) clusters of the training rows; not in model files.
        start_labels_: (n,) their clusters before codes and clusters were trained together: by
            k-means for "dec", "idec" and "mixae", else by the mixture; None for a method that
            starts from none; not in model files.
        model_: the module of the recipe, in evaluation mode.
        mixture_: the `GaussianMixture` on its codes, None for the other methods.
        fit_results_: what the fits did, see `anabranch.training.FitResult`: "autoencoder", and
            "clusters" where there was one.
        n_iter_: epochs of the last of them.
        preparation_: the fixed transform before the model.

    A column that does not vary stays at zero. A run that puts all rows into one cluster is stopped
    with `anabranch.procedures.CollapsedWarning`, and keeps the state before.

    Source: Xie, Girshick, Farhadi (2016), arXiv:1511.06335 ("dec"); Guo, Gao, Liu, Yin (2017),
    "Improved deep embedded clustering with local structure preservation" ("idec"); Jiang, Zheng,
    Tan, Tang, Zhou (2017), arXiv:1611.05148 ("vade"); Dilokthanakul et al. (2016),
    arXiv:1611.02648 ("gmvae"); Johnson, Duvenaud, Wiltschko, Datta, Adams (2016),
    arXiv:1603.06277 ("svae"); Li, Chen, Poon, Zhang (2019), arXiv:1803.05206 ("ltvae");
    Zhang, Sun, Eriksson, Balzano (2017), arXiv:1712.07788 ("mixae"), started as in Chazan,
    Gannot, Goldberger (2018), arXiv:1812.06535; Ben-Yosef, Weinshall (2018),
    arXiv:1808.10356 ("gmgan").

    Example:
        >>> from sklearn.datasets import make_blobs
        >>> X, _ = make_blobs(200, 8, centers=3, random_state=0)
        >>> model = DeepClustering(3, latent=2, hidden=(16,), max_epochs=5, random_state=0).fit(X)
        >>> model.predict(X).shape, model.transform(X).shape
        ((200,), (200, 2))
    """

    mixture_: GaussianMixture | None
    fit_results_: dict[str, FitResult]
    groups: ClassVar = {
        "method_options": dict,
        "model_options": dict,
        "pretrain": Pretrain,
        "fit_options": dict,
    }
    old_names: ClassVar = {
        **{name: f"method_options__{name}" for name in ("alpha", "reconstruction", "refresh")},
        **{name: f"method_options__{name}" for name in ("tol", "covariance_type", "n_init")},
        "clustering_rate": "method_options__learning_rate",
        "likelihood": "model_options__likelihood",
        "pretrain_epochs": "pretrain__epochs",
        "corruption": "pretrain__corruption",
        "autoencoder": "start",
    }

    @accepts_old_names
    def __init__(
        self,
        n_components: int = 8,
        *,
        method: str = "idec",
        method_options: dict[str, object] | None = None,
        latent: int = 10,
        hidden: Sequence[int] = (500, 500, 2000),
        levels: int | None = None,
        model_options: dict[str, object] | None = None,
        start: object = None,
        pretrain: dict[str, object] | None = None,
        max_epochs: int = 100,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int = 256,
        patience: int | None = 10,
        validation_fraction: float = 0.1,
        fit_options: dict[str, object] | None = None,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.method = method
        self.method_options = method_options
        self.latent = latent
        self.hidden = hidden
        self.levels = levels
        self.model_options = model_options
        self.start = start
        self.pretrain = pretrain
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.fit_options = fit_options
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, X: ArrayLike, y: ArrayLike | None, stages: Stages) -> None:
        plan = ClusteringPlan.of(self)
        if y is not None:
            warn_unused("y", "DeepClustering learns from no labels, see DeepMixture and start=")
        rows = self._validated(X, reset=True)
        self._check_start(plan, len(rows))
        clusters = plan.clusters
        if clusters is not None:
            clusters = responsibilities_of(clusters, rows, plan.n_components)
        state = check_random_state(self.random_state)
        self._prepare(rows, plan)
        x = self._seen(rows)
        order = torch.as_tensor(state.permutation(len(x)), device=x.device)
        # fewer than ten rows are too few to hold any out
        share = plan.optimisation.validation_fraction
        n_held_out = 0 if len(x) < 10 else max(round(share * len(x)), 2)
        held_out, train = order[:n_held_out], order[n_held_out:]
        check_rows(len(rows), plan.n_components, len(train))
        seed = int(state.randint(2**30 - 1))
        parts = x, x[train], x[held_out if n_held_out else train]
        task = _task(plan, parts, clusters, seed, stages)
        with stages.running():
            trained = plan.method.train(task, **plan.told)
        self._keep(trained.model, trained.mixture, trained.results)
        self.start_labels_ = trained.start
        self.labels_ = self._proba(x).argmax(1)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """The most probable cluster of each row, (n,)."""
        return self.predict_proba(X).argmax(1)

    def predict_proba(self, X: ArrayLike) -> Array:
        """Probabilities of the clusters for each row, (n, K)."""
        return self._proba(self._checked(X))

    def transform(self, X: ArrayLike) -> Array:
        """Codes of rows, (n, latent): their means, where codes are random."""
        return encode(self.model_, self._checked(X))

    def predict_facets(self, X: ArrayLike) -> NDArray[np.int64]:
        """The clusters of rows in each of the clusterings that "ltvae" has found, (n, m).

        The one that ``predict`` speaks of is among them: ``model_.facet`` is its number.

        Raises:
            ValueError: for another method.
        """
        x = self._checked(X)
        if not hasattr(self.model_, "facets"):
            raise ValueError(f"method={self.method!r} finds one clustering only: see predict")
        with torch.no_grad():
            found = [self.model_.facets(part) for part in x.split(PART)]
        labels = [torch.stack([log_p.argmax(0) for log_p in part], 1) for part in found]
        return torch.cat(labels).cpu().numpy()

    def program(self) -> Program:
        """The posterior of the clusters as one module; see `Estimator.program`."""
        check_is_fitted(self)
        if self.mixture_ is not None:
            return super().program()
        random_state, shape = np.random.RandomState(0), (CHECKED, self.n_features_in_)
        if self.levels is None:
            X = self.preparation_.decode(torch.as_tensor(random_state.randn(*shape)))
        else:
            X = random_state.randint(self.levels, size=shape).astype(np.float64)
        prepared = Prepared(self.preparation_.transform, self.levels)
        scores = PosteriorScores(self.model_, prepared, "responsibilities", self.n_components_)
        return Program(scores, {"x": X}, {"posterior": self.predict_proba(X)})

    # -- inside ----------------------------------------------------------------------------------

    def _proba(self, x: Tensor) -> Array:
        if self.mixture_ is not None:
            return self.mixture_.predict_proba(encode(self.model_, x))
        found = log_responsibilities(self.model_, x).exp().mT.double().cpu().numpy()
        # a clustering of "ltvae" may have fewer clusters than were asked for
        return np.pad(found, [(0, 0), (0, max(0, self.n_components_ - found.shape[1]))])

    def _keep(
        self, model: CodeModel, mixture: CodeMixture | None, results: dict[str, FitResult]
    ) -> None:
        model.eval()
        self.model_: Any = model  # one of several, each with methods of its own
        self.mixture_ = cast(GaussianMixture | None, mixture)
        self.fit_results_ = results
        self.n_components_ = int(self.n_components)
        last = list(results.values())[-1]
        self.n_iter_ = int(last.history[-1]["epoch"])

    def _prepare(self, X: Array, plan: ClusteringPlan) -> None:
        if plan.coder is not None:
            # its networks know columns as it saw them
            self.preparation_ = copy.deepcopy(fitted(plan.coder).preparation_)
            return
        constant = np.ptp(X, axis=0) <= 1e-9 * np.abs(X).max(axis=0)
        if constant.all():
            raise ValueError("no column of X varies: there is nothing to cluster")
        if self.levels is not None:
            self.preparation_ = Preparation.empty(X.shape[1], levels=self.levels, alpha=1e-6)
            return
        self.preparation_ = Preparation.fit(X, constant, levels=None, alpha=1e-6)

    @property
    def _n_features_out(self) -> int:
        return int(getattr(self.model_, "code_size", self.latent))

    def _checked(self, X: ArrayLike) -> Tensor:
        check_is_fitted(self)
        return self._seen(self._validated(X, reset=False))

    def _seen(self, X: Array) -> Tensor:
        """Rows as the networks see them."""
        x = self.preparation_.features(X)
        if x is None:
            x = self.preparation_.encode(X)[0]
            check_range(x, X, column_names(self, X.shape[1]))
        return x.to(self._device)

    def _check_start(self, plan: ClusteringPlan, n_rows: int) -> None:
        check_rows(n_rows, plan.n_components)
        if plan.coder is None:
            return
        other = fitted(plan.coder)
        for name in ("n_features_in_", "levels"):
            own, its = getattr(self, name), getattr(other, name)
            if own != its:
                raise ValueError(f"the model given as start has {name}={its!r}, this has {own!r}")
        plan.check_coder(other.model_.recipe, other.method, self.n_features_in_)

    # -- what it says of itself ------------------------------------------------------------------

    has_clusters: ClassVar[bool] = True
    score_kind: ClassVar[ScoreKind] = "none"
    components: ClassVar[Components] = "required"

    @property
    def has_facets(self) -> bool:
        """Whether ``predict_facets`` tells several clusterings."""
        return hasattr(self.model_, "facets")

    @property
    def started_from(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Rows, and the clusters that the start alone gave them."""
        start = vars(self).get("start_labels_")
        return None if start is None else (np.arange(len(start)), start)

    def facts(self) -> dict[str, Json]:
        """What there is to know of a fit; see `Estimator.facts`."""
        results = self.fit_results_
        labels = vars(self).get("labels_")  # a loaded one has not seen its rows
        sizes = None if labels is None else np.bincount(labels, minlength=self.n_components_)
        return super().facts() | {
            "method": self.method,
            "components": self.n_components_,
            **result_facts(list(results.values())[-1]),
            "seconds": sum(result.seconds for result in results.values()),
            "stages": {name: result_facts(result) for name, result in results.items()},
            "sizes": None if sizes is None else sizes.tolist(),
            **module_facts(self.model_),
        }

    def state(self) -> dict[str, Tree]:
        """What ``fit`` has found; see `Estimator.state`."""
        mixture = self.mixture_
        codes = None
        if mixture is not None:
            codes = {"settings": mixture.settings(), "state": mixture.state()}
        return super().state() | {
            "model": module_state(self.model_),
            "preparation": dict(self.preparation_.transform.state_dict()),
            "mixture": codes,
            "results": {name: result_state(fit) for name, fit in self.fit_results_.items()},
        }

    def _restore(self, state: State) -> None:
        n_features = self.n_features_in_ = state["model"]["recipe"]["arguments"]["features"]
        self.preparation_ = Preparation.empty(n_features, levels=self.levels, alpha=1e-6)
        self.preparation_.transform.load_state_dict(state["preparation"])
        codes = state["mixture"]
        mixture = None if codes is None else GaussianMixture.from_state(**codes)
        results = {name: FitResult(**result) for name, result in state["results"].items()}
        self._keep(module_from(state["model"]), mixture, results)


def _task(
    plan: ClusteringPlan,
    rows: tuple[Tensor, Tensor, Tensor],
    clusters: Array | None,
    seed: int,
    stages: Stages,
) -> ClusteringTask:
    """What a method is told; rows are all, those that are trained on, and those held out."""
    x, train, held_out = rows
    shared, coder = plan.optimisation, plan.coder
    other = None if coder is None else fitted(coder)
    given = None
    if other is not None:
        given = copy.deepcopy((other.model_, other.fit_results_["autoencoder"]))
    return ClusteringTask(
        x,
        train,
        held_out,
        n_components=plan.n_components,
        recipe=plan.method.recipe,
        coder=plan.method.coder,
        keywords={"features": x.shape[1], **plan.keywords},
        own=plan.own,
        options=plan.options(len(train), shared.max_epochs, plan.rate),
        pretraining=plan.options(len(train), int(plan.pretrain.epochs), shared.rate(1e-3)),
        corruption=float(plan.pretrain.corruption),
        keep=shared.keep,
        seed=seed,
        stages=stages,
        mixture=_mixture,
        given=given,
        clusters=clusters,
    )


def _mixture(
    codes: Array, n_components: int, covariance_type: str, n_init: int, **how: Any
) -> GaussianMixture:
    return GaussianMixture(
        n_components,
        covariance_type=covariance_type,
        reg_covar=how["reg_covar"],
        max_iter=500,
        n_init=n_init,
        random_state=how["seed"],
    ).fit(codes)


def fitted(coder: object) -> DeepClustering:
    """The fitted estimator that is taken over, also where it was wrapped against `clone`.

    Raises:
        ValueError: for another estimator, or one that is not fitted.
    """
    other = getattr(coder, "estimator", coder)
    if not isinstance(other, DeepClustering):
        raise ValueError(
            "start must be a fitted DeepClustering, labels (n,), responsibilities (n, K) or None, "
            f"got {type(coder).__name__}"
        )
    if not hasattr(other, "model_"):
        raise ValueError(
            "the DeepClustering given as start is not fitted; clone() takes fits away, unless it "
            "is wrapped in sklearn.frozen.FrozenEstimator"
        )
    return other
