"""What methods of clustering by codes share: rows, an autoencoder, and clusters of its codes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from torch import Tensor, nn

from anabranch.algorithms.gaussians import merge_overlapping
from anabranch.models import build
from anabranch.models.autoencoders.autoencoder import Autoencoder
from anabranch.models.autoencoders.vae import VariationalAutoencoder
from anabranch.objectives import Reconstruction, VariationalBound
from anabranch.procedures.cluster_watch import PART
from anabranch.procedures.stages import Stages
from anabranch.procedures.training_run import TrainingRun
from anabranch.training import FitOptions, FitResult

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
M = TypeVar("M", bound=nn.Module)
# Starts of k-means on codes, as published for DEC.
KMEANS_STARTS = 20
# Added to variances of codes, as a share of their mean.
REG_COVAR = 1e-3


class CodeModel(Protocol):
    """A module that gives rows codes."""

    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, J) of rows (N, D)."""
        ...

    def eval(self) -> object:
        """Bring it to evaluation mode."""
        ...


class CodeMixture(Protocol):
    """A Gaussian mixture that was fitted to codes."""

    weights_: Array
    means_: Array
    covariances_: Array

    def predict(self, X: Array) -> Labels:
        """The most probable component of each code, (n,)."""
        ...

    def predict_proba(self, X: Array) -> Array:
        """Probabilities of the components given each code, (n, K)."""
        ...


class Moments(NamedTuple):
    """Weights (K,), means (K, J) and variances (K, J) of clusters of codes."""

    weights: Tensor
    means: Tensor
    variances: Tensor


@dataclass
class Trained:
    """A fitted model.

    Attributes:
        model: built by a recipe.
        start: clusters of the rows before the codes were trained together with the clusters; None
            for a method that starts from none.
        results: what each fit did.
        mixture: on the codes, where the model itself has no clusters.
    """

    model: CodeModel
    start: Labels | None
    results: dict[str, FitResult] = field(default_factory=dict)
    mixture: CodeMixture | None = None


@dataclass
class ClusteringTask:
    """What is trained on, and how.

    Attributes:
        x: all rows, (N, D), where the model is to be.
        train: those that are trained on.
        held_out: those that choose the best states.
        n_components: K.
        recipe: of the model.
        coder: recipe of the autoencoder that it starts from.
        keywords: of all recipes.
        own: further keywords of the recipe of the model.
        options: of the loop that trains codes and clusters together.
        pretraining: of the loop that trains the autoencoder.
        corruption: share of features that are hidden from the autoencoder.
        keep: which state comes out.
        seed: of everything.
        stages: give the loops.
        mixture: fits a Gaussian mixture to codes: K, codes, covariances, starts and a variance
            that is added.
        given: an autoencoder that is taken over, and what its fit did.
        clusters: probabilities (N, K) to start from.
    """

    x: Tensor
    train: Tensor
    held_out: Tensor
    n_components: int
    recipe: str
    coder: str | None
    keywords: Mapping[str, Any]
    own: Mapping[str, Any]
    options: FitOptions
    pretraining: FitOptions
    corruption: float
    keep: Literal["best", "last"]
    seed: int
    stages: Stages
    mixture: Callable[..., CodeMixture]
    given: tuple[Any, FitResult] | None = None
    clusters: Array | None = None

    # -- models and runs -------------------------------------------------------------------------

    def build(self, kind: type[M], **arguments: object) -> tuple[M, torch.Generator]:
        """The model of the method, where the rows are, and the source of its draws."""
        return self._built(self.recipe, kind, n_components=self.n_components, **arguments)

    def _built(self, name: str, kind: type[M], **arguments: object) -> tuple[M, torch.Generator]:
        # draws in training go on where those of the initial weights end
        source = self.generator()
        own = self.own if name == self.recipe else {}
        model = build(name, **{**self.keywords, **arguments, **own, "seed": source})
        assert isinstance(model, kind)
        if self.x.device.type != "cpu":
            source = torch.Generator(self.x.device).manual_seed(self.seed)
        return model.to(self.x.device), source

    def run(self, noise: torch.Generator | None = None) -> TrainingRun:
        """How codes and clusters are trained together."""
        loop = self.stages.loop("clusters")
        return TrainingRun(self.options, self.generator(), noise, keep=self.keep, loop=loop)

    def generator(self) -> torch.Generator:
        """A source that begins with the seed of the fit."""
        return torch.Generator().manual_seed(self.seed)

    # -- the start -------------------------------------------------------------------------------

    def pretrained(self, kind: type[M]) -> tuple[M, FitResult]:
        """The autoencoder that was given, or one trained to its best state on held-out rows."""
        if self.given is not None:
            model, result = self.given
            return model.to(self.x.device).eval(), result
        assert self.coder is not None
        model, noise = self._built(self.coder, kind)
        if isinstance(model, VariationalAutoencoder):
            objective = VariationalBound(model)
        else:
            assert isinstance(model, Autoencoder)
            objective = Reconstruction(model, corruption=self.corruption)
        loop = self.stages.loop("autoencoder")
        run = TrainingRun(self.pretraining, self.generator(), noise, loop=loop)
        return model, run.fit(objective, {"x": self.train}, {"x": self.held_out})

    @property
    def starts_from_codes(self) -> bool:
        """Whether a method that can do without has an autoencoder to start from."""
        known = self.given is not None or self.clusters is not None
        return known or self.pretraining.max_epochs > 0

    @property
    def labels(self) -> Labels | None:
        """The clusters that were given to start from."""
        return None if self.clusters is None else self.clusters.argmax(1).astype(np.int64)

    def centers(self, codes: Array) -> tuple[Tensor, Labels]:
        """Centres of codes (K, J), by k-means or from given clusters, and the cluster of each."""
        if self.clusters is not None and self.labels is not None:
            return _moments(codes, self.clusters).means, self.labels
        found = KMeans(
            self.distinct(codes),
            n_init=KMEANS_STARTS,  # pyright: ignore[reportArgumentType] - the stub knows no numbers
            random_state=self.seed,
        )
        labels = found.fit_predict(codes).astype(np.int64)
        return torch.as_tensor(found.cluster_centers_, dtype=torch.float32), labels

    def moments(self, codes: Array, n_init: int) -> tuple[Moments, Labels]:
        """Clusters of codes, by a Gaussian mixture or as given, and the cluster of each."""
        if self.clusters is not None and self.labels is not None:
            return _moments(codes, self.clusters), self.labels
        mixture = self.mixture_of(codes, "diag", n_init)
        found = (mixture.weights_, mixture.means_, mixture.covariances_)
        return Moments(*map(_float32, found)), mixture.predict(codes)

    def merged_moments(self, codes: Array, n_init: int) -> tuple[Moments, Labels]:
        """Clusters of codes as given, or components of a mixture that were merged; two to K.

        Those that are not needed have no weight.
        """
        if self.clusters is not None and self.labels is not None:
            return _moments(codes, self.clusters), self.labels
        mixture = self.mixture_of(codes, "full", n_init)
        clusters = merge_overlapping(mixture.predict_proba(codes), at_least=2)
        found = _moments(codes, clusters)
        none = torch.zeros(self.n_components - clusters.shape[1], codes.shape[1])
        padded = (none[:, 0], none, torch.ones_like(none))
        moments = Moments(*(torch.cat(pair) for pair in zip(found, padded, strict=True)))
        return moments, clusters.argmax(1).astype(np.int64)

    def mixture_of(self, codes: Array, covariance_type: str, n_init: int) -> CodeMixture:
        """A Gaussian mixture on codes, whose units are arbitrary."""
        least = REG_COVAR * float(codes.var(0).mean())
        return self.mixture(
            codes, self.distinct(codes), covariance_type, n_init, reg_covar=least, seed=self.seed
        )

    def distinct(self, codes: Array) -> int:
        """K, if there can be as many clusters of the codes."""
        distinct = len(np.unique(codes, axis=0))
        if distinct < self.n_components:
            raise ValueError(
                f"the autoencoder gives {len(codes)} rows only {distinct} distinct codes, fewer "
                f"than n_components={self.n_components}: rows are duplicates, or its training "
                "failed; lower learning_rate"
            )
        return self.n_components


def _moments(codes: Array, clusters: Array) -> Moments:
    counts = clusters.sum(0)
    means = clusters.T @ codes / counts[:, None]
    squares = clusters.T @ codes**2 / counts[:, None]
    variances = np.maximum(squares - means**2, 0) + REG_COVAR * float(codes.var(0).mean())
    return Moments(*map(_float32, (counts / counts.sum(), means, variances)))


def _float32(array: Array) -> Tensor:
    return torch.as_tensor(array, dtype=torch.float32)


def error_of(result: FitResult) -> float:
    """The error of an autoencoder per feature; 1, that of the mean, where it was not trained."""
    return result.best_score if math.isfinite(result.best_score) else 1.0


@torch.no_grad()
def encode(model: CodeModel, x: Tensor) -> Array:
    """Codes of rows, (n, J)."""
    return torch.cat([model.encode(part) for part in x.split(PART)]).double().cpu().numpy()
