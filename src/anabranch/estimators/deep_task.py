"""What the methods of `DeepClustering` share: rows, settings, an autoencoder, and its mixture."""

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from torch import Tensor, nn

from anabranch.estimators.gaussian_mixture import GaussianMixture
from anabranch.estimators.stages import Stages
from anabranch.models import build
from anabranch.training import FitOptions, FitResult

if TYPE_CHECKING:
    from anabranch.estimators.deep_clustering import DeepClustering

Array = NDArray[np.float64]
# Starts of k-means on codes, as published for DEC.
KMEANS_STARTS = 20
# Added to variances of codes, as a share of their mean.
REG_COVAR = 1e-3
# Rows that a pass without gradients takes at a time.
PART = 4096


@dataclass
class Trained:
    """A fitted model.

    Attributes:
        model: built by a recipe, in evaluation mode.
        mixture: on the codes, where the model itself has no clusters.
        start: clusters of the rows before the codes were trained together with the clusters; None
            for a method that starts from none.
        results: what each fit did.
    """

    model: Any
    mixture: GaussianMixture | None
    start: NDArray[np.int64] | None
    results: dict[str, FitResult] = field(default_factory=dict)


@dataclass
class Task:
    """What is trained on: all rows, those of them that are held out, and the settings.

    ``stages`` give the loops to train in.
    """

    x: Tensor
    train: Tensor
    held_out: Tensor
    settings: "DeepClustering"
    likelihood: str
    seed: int
    stages: Stages

    @property
    def n_components(self) -> int:
        """K."""
        return int(self.settings.n_components)

    @property
    def max_epochs(self) -> int:
        """Upper limit for the training of codes and clusters together."""
        return int(self.settings.max_epochs)

    def build(self, name: str, **arguments: Any) -> Any:
        """The model of the method, where the rows are.

        The keywords that all recipes take, those given here, and the user's ``model_options``.
        """
        given = {**self.keywords(), **arguments, **(self.settings.model_options or {})}
        return build(name, **given).to(self.x.device)

    def keywords(self) -> dict[str, Any]:
        """What all recipes take."""
        settings = self.settings
        given = {
            "features": self.x.shape[1],
            "latent": int(settings.latent),
            "hidden": [int(size) for size in settings.hidden],
            "likelihood": self.likelihood,
            "seed": self.seed,
        }
        # coders that start a model have to have its activation
        activation = (settings.model_options or {}).get("activation")
        return given if activation is None else {**given, "activation": activation}

    def rate(self, default: float) -> float:
        """The learning rate of codes and clusters together."""
        rate = self.settings.clustering_rate
        return default if rate is None else rate

    def options(self, max_epochs: int, rate: float) -> FitOptions:
        """The settings of the loop."""
        settings = self.settings
        given = {
            "max_epochs": max_epochs,
            # small tables need steps more than they need large batches
            "batch_size": min(settings.batch_size, max(32, len(self.train) // 4)),
            "learning_rate": rate,
            "weight_decay": settings.weight_decay,
            "patience": settings.patience,
            "progress": None if settings.verbose else False,
            **(settings.fit_options or {}),
            "checkpoint": None,  # which each stage has for itself
        }
        return FitOptions(
            **{k: v.item() if isinstance(v, np.generic) else v for k, v in given.items()}
        )

    def generator(self) -> torch.Generator:
        """The source of the row order."""
        return torch.Generator().manual_seed(self.seed)

    def autoencoder(self) -> tuple[Any, FitResult]:
        """The autoencoder that was given, or one trained on the rows."""
        if self.settings.autoencoder is not None:
            return self.given("autoencoder")
        corruption = self.settings.corruption
        return self.pretrained(build("autoencoder", **self.keywords(), corruption=corruption))

    def variational_autoencoder(self) -> tuple[Any, FitResult]:
        """Likewise, a variational one."""
        if self.settings.autoencoder is not None:
            return self.given("vae")
        return self.pretrained(build("vae", **self.keywords()))

    def pretrained(self, model: nn.Module) -> tuple[Any, FitResult]:
        """An autoencoder trained to its best state on held-out rows."""
        model = model.to(self.x.device)
        result = self.stages.loop("autoencoder")(
            model,
            {"x": self.train},
            {"x": self.held_out},
            options=self.options(self.settings.pretrain_epochs, self.settings.learning_rate),
            generator=self.generator(),
        )
        return model.eval(), result

    def given(self, name: str) -> tuple[Any, FitResult]:
        """A copy of the coder of the fitted estimator that the user gave."""
        other = self.settings.autoencoder
        wanted = {key: value for key, value in self.keywords().items() if key != "seed"}
        built = other.model_.recipe
        if built["name"] != name:
            raise ValueError(
                f"method={self.settings.method!r} starts from the recipe {name!r}, but the "
                f"autoencoder given is fitted by method={other.method!r}"
            )
        for key, value in wanted.items():
            if (found := built["arguments"].get(key)) != value:
                raise ValueError(f"the autoencoder given has {key}={found!r}, wanted is {value!r}")
        model = copy.deepcopy(other.model_).to(self.x.device)
        return model.eval(), copy.deepcopy(other.fit_results_["autoencoder"])

    def centers(self, codes: Array) -> tuple[Tensor, NDArray[np.int64]]:
        """Centres of codes by k-means, (K, J), and the nearest one of each."""
        found = KMeans(
            self.distinct(codes),
            n_init=KMEANS_STARTS,  # pyright: ignore[reportArgumentType] - the stub knows no numbers
            random_state=self.seed,
        )
        labels = found.fit_predict(codes).astype(np.int64)
        return torch.as_tensor(found.cluster_centers_, dtype=torch.float32), labels

    def mixture(self, codes: Array, kind: str) -> GaussianMixture:
        """A Gaussian mixture on codes, whose units are arbitrary."""
        return GaussianMixture(
            self.distinct(codes),
            covariance_type=kind,
            reg_covar=REG_COVAR * float(codes.var(0).mean()),
            max_iter=500,
            n_init=self.settings.n_init,
            random_state=self.seed,
        ).fit(codes)

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


@torch.no_grad()
def encode(model: Any, x: Tensor) -> Array:
    """Codes of rows, (n, J)."""
    return torch.cat([model.encode(part) for part in x.split(PART)]).double().cpu().numpy()
