"""How the methods of `DeepClustering` are run: an autoencoder, clusters of its codes, and both."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from torch import Tensor, nn

from anabranch.estimators.gaussian_mixture import GaussianMixture
from anabranch.models import autoencoder, dec, vade, vae
from anabranch.models.clustering import fit_self_training, fit_vade
from anabranch.training import CosineDecay, FitOptions, FitResult, fit

if TYPE_CHECKING:
    from anabranch.estimators.deep_clustering import DeepClustering

Array = NDArray[np.float64]
# Starts of k-means on codes, as published for DEC.
KMEANS_STARTS = 20
# Added to variances of codes, as a share of their mean.
REG_COVAR = 1e-3
# Rows that a pass without gradients takes at a time.
PART = 4096
# Learning rates of the second part. DEC gathers codes at any price, so that it is slowed down.
RATES = {"dec": 1e-4, "idec": 1e-3, "vade": 2e-3}


@dataclass
class Trained:
    """A fitted model.

    Attributes:
        model: built by a recipe, in evaluation mode.
        mixture: on the codes, where the model itself has no clusters.
        start: clusters of the rows before the codes were trained together with the clusters.
        results: what each fit did.
    """

    model: Any
    mixture: GaussianMixture | None
    start: NDArray[np.int64]
    results: dict[str, FitResult] = field(default_factory=dict)


@dataclass
class Task:
    """What is trained on: all rows, those of them that are held out, and the settings."""

    x: Tensor
    train: Tensor
    held_out: Tensor
    settings: "DeepClustering"
    likelihood: str
    seed: int

    def keywords(self) -> dict[str, Any]:
        """What all recipes take."""
        settings = self.settings
        return {
            "features": self.x.shape[1],
            "latent": int(settings.latent),
            "hidden": [int(size) for size in settings.hidden],
            "likelihood": self.likelihood,
            "seed": self.seed,
        }

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
        }
        return FitOptions(
            **{k: v.item() if isinstance(v, np.generic) else v for k, v in given.items()}
        )

    def generator(self) -> torch.Generator:
        """The source of the row order."""
        return torch.Generator().manual_seed(self.seed)


def train(task: Task) -> Trained:
    """Run the method of the settings."""
    return METHODS[task.settings.method](task)


def _on_codes(task: Task) -> Trained:
    """An autoencoder, and a Gaussian mixture on its codes."""
    settings = task.settings
    if settings.method == "vae+gmm":
        model: Any = vae(**task.keywords())
    else:
        model = autoencoder(**task.keywords(), corruption=settings.corruption)
    result = _pretrain(model, task)
    codes = encode(model, task.x)
    mixture = _mixture(codes, settings, settings.covariance_type, task.seed)
    return Trained(model, mixture, mixture.predict(codes), {"autoencoder": result})


def _self_trained(task: Task) -> Trained:
    """DEC and IDEC: k-means on the codes of an autoencoder, then both by self-training."""
    settings = task.settings
    improved = settings.method == "idec"
    coder = autoencoder(**task.keywords(), corruption=settings.corruption)
    results = {"autoencoder": _pretrain(coder, task)}
    codes = encode(coder, task.x)
    centers, labels = _centers(codes, settings, task.seed)
    model = dec(
        n_components=int(settings.n_components),
        alpha=float(settings.alpha),
        reconstruction=float(settings.reconstruction) if improved else 0.0,
        **task.keywords(),
    ).to(task.x.device)
    model.start_from(coder, centers)
    results["clusters"] = fit_self_training(
        model,
        task.x,
        options=task.options(settings.max_epochs, _rate(settings)),
        refresh=settings.refresh,
        tol=settings.tol,
        generator=task.generator(),
    )
    return Trained(model.eval(), None, labels, results)


def _vade(task: Task) -> Trained:
    """VaDE: a Gaussian mixture on the codes of an autoencoder as the prior, then both."""
    settings = task.settings
    coder = autoencoder(**task.keywords(), corruption=settings.corruption)
    results = {"autoencoder": _pretrain(coder, task)}
    codes = encode(coder, task.x)
    mixture = _mixture(codes, settings, "diag", task.seed)
    model = vade(n_components=int(settings.n_components), **task.keywords()).to(task.x.device)
    moments = (mixture.weights_, mixture.means_, mixture.covariances_)
    error = results["autoencoder"].best_score
    model.start_from(
        coder,
        error if math.isfinite(error) else 1.0,
        *(torch.as_tensor(moment, dtype=torch.float32) for moment in moments),
    )
    options = task.options(settings.max_epochs, _rate(settings))
    steps = max(1, len(task.train) // options.batch_size) * max(1, options.max_epochs)
    results["clusters"] = fit_vade(
        model,
        task.train,
        task.held_out,
        options=options,
        schedules=[CosineDecay(steps)],
        generator=task.generator(),
    )
    return Trained(model.eval(), None, mixture.predict(codes), results)


METHODS: dict[str, Callable[[Task], Trained]] = {
    "ae+gmm": _on_codes,
    "vae+gmm": _on_codes,
    "dec": _self_trained,
    "idec": _self_trained,
    "vade": _vade,
}


def _pretrain(model: nn.Module, task: Task) -> FitResult:
    """Train an autoencoder to its best state on held-out rows."""
    settings = task.settings
    return fit(
        model.to(task.x.device),
        {"x": task.train},
        {"x": task.held_out},
        options=task.options(settings.pretrain_epochs, settings.learning_rate),
        generator=task.generator(),
    )


def _centers(
    codes: Array, settings: "DeepClustering", seed: int
) -> tuple[Tensor, NDArray[np.int64]]:
    """Centres of codes by k-means, (K, J), and the nearest one of each."""
    found = KMeans(
        _components(codes, settings),
        n_init=KMEANS_STARTS,  # pyright: ignore[reportArgumentType] - the stub knows no numbers
        random_state=seed,
    )
    labels = found.fit_predict(codes).astype(np.int64)
    return torch.as_tensor(found.cluster_centers_, dtype=torch.float32), labels


def _mixture(codes: Array, settings: "DeepClustering", kind: str, seed: int) -> GaussianMixture:
    """A Gaussian mixture on codes, whose units are arbitrary."""
    return GaussianMixture(
        _components(codes, settings),
        covariance_type=kind,
        reg_covar=REG_COVAR * float(codes.var(0).mean()),
        max_iter=500,
        n_init=settings.n_init,
        random_state=seed,
    ).fit(codes)


def _components(codes: Array, settings: "DeepClustering") -> int:
    """K, if there can be as many clusters of the codes."""
    distinct = len(np.unique(codes, axis=0))
    if distinct < settings.n_components:
        raise ValueError(
            f"the autoencoder gives {len(codes)} rows only {distinct} distinct codes, fewer than "
            f"n_components={settings.n_components}: rows are duplicates, or its training failed; "
            "lower learning_rate"
        )
    return int(settings.n_components)


def _rate(settings: "DeepClustering") -> float:
    rate = settings.clustering_rate
    return RATES[settings.method] if rate is None else rate


@torch.no_grad()
def encode(model: Any, x: Tensor) -> Array:
    """Codes of rows, (n, J)."""
    return torch.cat([model.encode(part) for part in x.split(PART)]).double().cpu().numpy()
