"""What the methods of `DeepClustering` share: rows, plan, an autoencoder, and its mixture."""

import copy
import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from torch import Tensor, nn

from anabranch.contracts.objective import Objective
from anabranch.estimators.clustering_method import CodeModel, Labels
from anabranch.estimators.clustering_plan import ClusteringPlan, labels_of
from anabranch.estimators.gaussian_mixture import GaussianMixture
from anabranch.estimators.stages import Stages
from anabranch.models import build
from anabranch.models.autoencoders.autoencoder import Autoencoder
from anabranch.models.autoencoders.vae import VariationalAutoencoder
from anabranch.objectives import Reconstruction, VariationalBound
from anabranch.procedures import TrainingRun
from anabranch.training import FitOptions, FitResult

Array = NDArray[np.float64]
M = TypeVar("M", bound=nn.Module)
O = TypeVar("O")  # noqa: E741
# Starts of k-means on codes, as published for DEC.
KMEANS_STARTS = 20
# Added to variances of codes, as a share of their mean.
REG_COVAR = 1e-3
# Rows that a pass without gradients takes at a time.
PART = 4096
CODERS = {"autoencoder": Autoencoder, "vae": VariationalAutoencoder}


class Moments(NamedTuple):
    """Weights (K,), means (K, J) and variances (K, J) of clusters of codes."""

    weights: Tensor
    means: Tensor
    variances: Tensor


@dataclass
class Task:
    """What is trained on: all rows, those of them that are held out, and the plan.

    ``stages`` give the loops to train in.
    """

    x: Tensor
    train: Tensor
    held_out: Tensor
    plan: ClusteringPlan["Task"]
    seed: int
    stages: Stages

    def told(self, kind: type[O]) -> O:
        """The settings of the method, which are of that class."""
        options = self.plan.options
        if not isinstance(options, kind):
            raise TypeError(f"the plan holds {type(options).__name__}, not {kind.__name__}")
        return options

    # -- models and runs -------------------------------------------------------------------------

    def build(self, kind: type[M], **arguments: object) -> tuple[M, torch.Generator]:
        """The model of the method, where the rows are, and the source of its draws.

        Its keywords are those that all recipes take, those given here, and the user's
        ``model_options``.
        """
        given = {**arguments, **self.plan.model_options}
        return self._built(self.plan.method.recipe, kind, **given)

    def _built(self, name: str, kind: type[M], **arguments: object) -> tuple[M, torch.Generator]:
        # draws in training go on where those of the initial weights end
        source = self.generator()
        given: dict[str, Any] = {**self.keywords(), **arguments, "seed": source}
        model = build(name, **given)
        assert isinstance(model, kind)
        if self.x.device.type != "cpu":
            source = torch.Generator(self.x.device).manual_seed(self.seed)
        return model.to(self.x.device), source

    def keywords(self) -> dict[str, object]:
        """What all recipes take."""
        plan = self.plan
        given = {
            "features": self.x.shape[1],
            "latent": plan.latent,
            "hidden": list(plan.hidden),
            "likelihood": plan.likelihood,
        }
        # coders that start a model have to have its activation
        activation = plan.model_options.get("activation")
        return given if activation is None else {**given, "activation": activation}

    def run(self, rate: float, noise: torch.Generator | None = None) -> TrainingRun:
        """How codes and clusters are trained together, at that learning rate."""
        shared = self.plan.optimisation
        return TrainingRun(
            self._options(shared.max_epochs, rate),
            self.generator(),
            noise,
            keep=shared.keep,
            loop=self.stages.loop("clusters"),
        )

    def _options(self, max_epochs: int, rate: float) -> FitOptions:
        how = {"max_epochs": max_epochs, "learning_rate": rate}
        options = self.plan.optimisation.options(len(self.train), least_batch=32, **how)
        return replace(options, checkpoint=None)  # which each stage has for itself

    def generator(self) -> torch.Generator:
        """A source that begins with the seed of the fit."""
        return torch.Generator().manual_seed(self.seed)

    # -- the start -------------------------------------------------------------------------------

    def autoencoder(self) -> tuple[Autoencoder, FitResult]:
        """The autoencoder that was given, or one trained on the rows."""
        if self.plan.coder is not None:
            return self._given(self.plan.coder, "autoencoder", Autoencoder)
        model, noise = self._built("autoencoder", Autoencoder, **self._own("autoencoder"))
        objective = Reconstruction(model, corruption=float(self.plan.pretrain.corruption))
        return model, self._pretrained(objective, noise)

    def variational_autoencoder(self) -> tuple[VariationalAutoencoder, FitResult]:
        """Likewise, a variational one."""
        if self.plan.coder is not None:
            return self._given(self.plan.coder, "vae", VariationalAutoencoder)
        model, noise = self._built("vae", VariationalAutoencoder, **self._own("vae"))
        return model, self._pretrained(VariationalBound(model), noise)

    def _own(self, recipe: str) -> dict[str, Any]:
        """The user's keywords for a coder, where that is the model of the method."""
        return dict(self.plan.model_options) if self.plan.method.recipe == recipe else {}

    def _pretrained(self, objective: Objective, noise: torch.Generator) -> FitResult:
        """Train an autoencoder to its best state on held-out rows."""
        rate = self.plan.optimisation.rate(1e-3)
        options = self._options(int(self.plan.pretrain.epochs), rate)
        loop = self.stages.loop("autoencoder")
        run = TrainingRun(options, self.generator(), noise, loop=loop)
        return run.fit(objective, {"x": self.train}, {"x": self.held_out})

    def _given(self, other: Any, name: str, kind: type[M]) -> tuple[M, FitResult]:
        """A copy of the coder of the fitted estimator that the user gave."""
        built = other.model_.recipe
        if built["name"] != name:
            raise ValueError(
                f"method={self.plan.name!r} starts from the recipe {name!r}, but the model given "
                f"as start is fitted by method={other.method!r}"
            )
        for key, value in {**self.keywords(), **self._own(name)}.items():
            if (found := built["arguments"].get(key)) != value:
                raise ValueError(
                    f"the model given as start has {key}={found!r}, wanted is {value!r}"
                )
        model = copy.deepcopy(other.model_).to(self.x.device)
        return model.eval(), copy.deepcopy(other.fit_results_["autoencoder"])

    def starts_from_codes(self) -> bool:
        """Whether a method that can do without has an autoencoder to start from."""
        plan = self.plan
        given = plan.coder is not None or plan.responsibilities is not None
        return given or plan.pretrain.epochs > 0

    def given_labels(self) -> Labels | None:
        """The clusters that the user gave to start from."""
        given = self.plan.responsibilities
        return None if given is None else labels_of(given)

    # -- clusters of codes -----------------------------------------------------------------------

    def centers(self, codes: Array) -> tuple[Tensor, Labels]:
        """Centres of codes (K, J), by k-means or from given clusters, and the cluster of each."""
        given = self.plan.responsibilities
        if given is not None:
            return self._moments(codes, given).means, labels_of(given)
        found = KMeans(
            self.distinct(codes),
            n_init=KMEANS_STARTS,  # pyright: ignore[reportArgumentType] - the stub knows no numbers
            random_state=self.seed,
        )
        labels = found.fit_predict(codes).astype(np.int64)
        return torch.as_tensor(found.cluster_centers_, dtype=torch.float32), labels

    def moments(self, codes: Array, n_init: int) -> tuple[Moments, Labels]:
        """Clusters of codes, by a Gaussian mixture or as given, and the cluster of each."""
        given = self.plan.responsibilities
        if given is not None:
            return self._moments(codes, given), labels_of(given)
        mixture = self.mixture(codes, "diag", n_init)
        found = (mixture.weights_, mixture.means_, mixture.covariances_)
        moments = (torch.as_tensor(moment, dtype=torch.float32) for moment in found)
        return Moments(*moments), mixture.predict(codes)

    def _moments(self, codes: Array, given: Array) -> Moments:
        counts = given.sum(0)
        means = given.T @ codes / counts[:, None]
        squares = given.T @ codes**2 / counts[:, None]
        variances = np.maximum(squares - means**2, 0) + REG_COVAR * float(codes.var(0).mean())
        found = (counts / counts.sum(), means, variances)
        return Moments(*(torch.as_tensor(moment, dtype=torch.float32) for moment in found))

    def mixture(self, codes: Array, kind: str, n_init: int) -> GaussianMixture:
        """A Gaussian mixture on codes, whose units are arbitrary."""
        return GaussianMixture(
            self.distinct(codes),
            covariance_type=kind,
            reg_covar=REG_COVAR * float(codes.var(0).mean()),
            max_iter=500,
            n_init=n_init,
            random_state=self.seed,
        ).fit(codes)

    def distinct(self, codes: Array) -> int:
        """K, if there can be as many clusters of the codes."""
        distinct, wanted = len(np.unique(codes, axis=0)), self.plan.n_components
        if distinct < wanted:
            raise ValueError(
                f"the autoencoder gives {len(codes)} rows only {distinct} distinct codes, fewer "
                f"than n_components={wanted}: rows are duplicates, or its training failed; lower "
                "learning_rate"
            )
        return wanted


def error_of(result: FitResult) -> float:
    """The error of an autoencoder per feature; 1, that of the mean, where it was not trained."""
    return result.best_score if math.isfinite(result.best_score) else 1.0


@torch.no_grad()
def encode(model: CodeModel, x: Tensor) -> Array:
    """Codes of rows, (n, J)."""
    return torch.cat([model.encode(part) for part in x.split(PART)]).double().cpu().numpy()
