"""The settings of a `DeepClustering`, checked once, before any work."""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from anabranch.estimators.groups import read_group
from anabranch.estimators.unused import warn_unused
from anabranch.functional.numbers import check_dict, check_sizes, check_whole, is_whole, real
from anabranch.models.autoencoders.likelihoods import LIKELIHOODS
from anabranch.procedures.clustering_methods import METHODS, Method
from anabranch.procedures.optimisation import Optimisation, Settings
from anabranch.training import FitOptions

# What `fit` tells a recipe by itself.
KNOWN = ("features", "n_components", "seed")


@dataclass(frozen=True)
class Pretrain:
    """How the autoencoder that a method starts from is trained.

    Attributes:
        epochs: upper limit; with 0, "gmvae" and "mixae" start from random networks.
        corruption: share of features that are hidden from the encoder.
    """

    epochs: int = 100
    corruption: float = 0.0

    def __post_init__(self) -> None:
        check_whole(self, ("epochs",), 0)
        if not 0 <= real(self.corruption) < 1:
            raise ValueError(f"corruption must be in [0, 1), got {self.corruption!r}")


@dataclass(frozen=True)
class ClusteringPlan:
    """What a fit of `DeepClustering` is told.

    Attributes:
        name: of the method.
        method: its entry in the table.
        told: its settings but for the learning rate, by name.
        rate: learning rate of codes and clusters together.
        n_components: K.
        keywords: of all recipes.
        own: further keywords of the recipe of the method.
        pretrain: how the autoencoder is trained.
        coder: the fitted estimator whose autoencoder is taken over, or None.
        clusters: of the rows, as given, to start from, or None.
        optimisation: what all estimators share.
    """

    name: str
    method: Method
    told: Mapping[str, Any]
    rate: float
    n_components: int
    keywords: Mapping[str, Any]
    own: Mapping[str, Any]
    pretrain: Pretrain
    coder: BaseEstimator | None
    clusters: NDArray[np.generic] | None
    optimisation: Optimisation

    @classmethod
    def of(cls, estimator: Settings) -> Self:
        """The plan of an estimator.

        Raises:
            ValueError: naming the setting, what was given and what was expected.

        Warns:
            UnusedSettingWarning: for settings of another method.
        """
        shared = Optimisation.of(estimator)
        settings: Mapping[str, Any] = estimator.get_params(deep=False)
        name = settings["method"]
        if not isinstance(name, str) or name not in METHODS:
            raise ValueError(f"method must be one of {tuple(METHODS)}, got {name!r}")
        _check_sizes_of(settings)
        method, n_components = METHODS[name], int(settings["n_components"])
        coder, clusters = _start(settings["start"], name)
        model_options = dict(settings["model_options"] or {})
        moved = _moved(model_options, method)
        _check_unused(name, method, settings, shared.keep)
        told = asdict(_options(name, settings["method_options"], moved))
        likelihood = _likelihood(model_options.pop("likelihood", None), settings["levels"])
        keywords = {
            "latent": int(settings["latent"]),
            "hidden": [int(size) for size in settings["hidden"]],
            "likelihood": likelihood,
        }
        if model_options.get("activation") is not None:
            # coders that start a model have to have its activation
            keywords["activation"] = model_options["activation"]
        return cls(
            name=name,
            method=method,
            rate=told.pop("learning_rate", 1e-3),
            told=told,
            n_components=n_components,
            keywords=keywords,
            own=model_options,
            pretrain=read_group("pretrain", settings["pretrain"], Pretrain),
            coder=coder,
            clusters=clusters,
            optimisation=shared,
        )

    def options(self, n_rows: int, max_epochs: int, rate: float) -> FitOptions:
        """The settings of a run of the loop."""
        how = {"max_epochs": max_epochs, "learning_rate": rate}
        options = self.optimisation.options(n_rows, least_batch=32, **how)
        return replace(options, checkpoint=None)  # which each stage has for itself

    def check_coder(self, recipe: Mapping[str, Any], method: str, n_features: int) -> None:
        """Refuse an autoencoder that this method cannot take over.

        Args:
            recipe: of the model of the fitted estimator.
            method: of that.
            n_features: D.
        """
        name = self.method.coder
        if recipe["name"] != name:
            raise ValueError(
                f"method={self.name!r} starts from the recipe {name!r}, but the model given "
                f"as start is fitted by method={method!r}"
            )
        own = self.own if self.method.recipe == name else {}
        for key, value in {"features": n_features, **self.keywords, **own}.items():
            if (found := recipe["arguments"].get(key)) != value:
                raise ValueError(
                    f"the model given as start has {key}={found!r}, wanted is {value!r}"
                )


def _check_sizes_of(settings: Mapping[str, Any]) -> None:
    given = SimpleNamespace(**settings)
    check_whole(given, ("n_components", "latent"), 1)
    check_sizes("hidden", settings["hidden"])
    check_dict(given, ("model_options",))
    for name in settings["model_options"] or {}:
        if name in KNOWN:
            raise ValueError(f"model_options cannot set {name!r}, which fit tells the recipe")
    levels = settings["levels"]
    if levels is not None and not (is_whole(levels) and int(levels) > 1):
        raise ValueError(f"levels must be an integer above 1 or None, got {levels!r}")


def _likelihood(given: object, levels: int | None) -> str:
    if given is None:
        return "gaussian" if levels is None else "bernoulli"
    if given not in LIKELIHOODS:
        raise ValueError(
            f"model_options.likelihood must be one of {LIKELIHOODS} or None, got {given!r}"
        )
    if given == "bernoulli" and levels is None:
        raise ValueError(
            "model_options.likelihood='bernoulli' needs shares in [0, 1]: give levels for "
            "integers, or take 'gaussian'"
        )
    return str(given)


def _moved(model_options: dict[str, object], method: Method) -> dict[str, object]:
    """Settings of training that recipes had until 0.1, taken out of the keywords of the model."""
    own = {field.name for field in fields(method.options)}
    moved = {key: model_options.pop(key) for key in list(model_options) if key in own}
    if moved:
        warnings.warn(
            f"model_options={moved!r} is now method_options={moved!r}: the old place goes with "
            "version 0.3",
            FutureWarning,
            stacklevel=5,
        )
    return moved


def _options(name: str, given: object, moved: Mapping[str, object]) -> Any:
    """The settings of the method; those of others are left out, with a warning."""
    if moved and (given is None or isinstance(given, Mapping)):
        given = {**moved, **(given or {})}
    kind = METHODS[name].options
    own = {field.name for field in fields(kind)}
    others = {field.name for method in METHODS.values() for field in fields(method.options)} - own
    if isinstance(given, Mapping) and (unused := [key for key in given if key in others]):
        known = ", ".join(sorted(own))
        warn_unused(f"method_options.{unused[0]}", f"method={name!r} takes {known}")
        given = {key: value for key, value in given.items() if key not in others}
    return read_group("method_options", given, kind)


def _check_unused(name: str, method: Method, settings: Mapping[str, Any], keep: str) -> None:
    pretrain = settings["pretrain"] or {}
    if method.coder is None and pretrain:
        warn_unused("pretrain", f"method={name!r} starts from no autoencoder")
    elif method.coder == "vae" and isinstance(pretrain, Mapping) and pretrain.get("corruption"):
        warn_unused("pretrain.corruption", f"the autoencoder of method={name!r} draws its codes")
    if method.recipe == method.coder and keep == "last":
        warn_unused("fit_options.keep", f"method={name!r} trains an autoencoder only")


def _start(given: object, name: str) -> tuple[BaseEstimator | None, NDArray[np.generic] | None]:
    """The estimator whose autoencoder is taken over, or the clusters of rows."""
    if given is None:
        return None, None
    if isinstance(given, BaseEstimator):
        if METHODS[name].coder is None:
            raise ValueError(f"method={name!r} starts from no autoencoder, but got one as start")
        return given, None
    clusters = np.asarray(given)
    if clusters.ndim == 0:
        raise ValueError(
            "start must be a fitted DeepClustering, labels (n,), responsibilities (n, K) or None, "
            f"got {given!r}"
        )
    if not METHODS[name].takes_clusters:
        raise ValueError(f"method={name!r} starts from no clusters, but got some as start")
    return None, clusters
