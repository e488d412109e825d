"""The settings of a `DeepClustering`, checked once, before any work."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Generic, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from anabranch.estimators.clustering_method import Labels, Method, TaskKind
from anabranch.estimators.groups import read_group
from anabranch.estimators.numbers import check_dict, check_sizes, check_whole, is_whole, real
from anabranch.estimators.optimisation import Optimisation
from anabranch.estimators.unused import warn_unused
from anabranch.models.autoencoders.likelihoods import LIKELIHOODS

# What `fit` tells a recipe by itself.
KNOWN = ("features", "n_components", "seed")


class CoderSource(Protocol):
    """A fitted estimator whose autoencoder may be taken over."""

    def get_params(self, deep: bool = True) -> dict[str, object]:
        """Its settings."""
        ...


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
class ClusteringPlan(Generic[TaskKind]):
    """What a fit of `DeepClustering` is told.

    Attributes:
        name: of the method.
        method: its entry in the table.
        options: its settings, an object of ``method.options``.
        n_components: K.
        latent: size of a code.
        hidden: hidden sizes of the encoder.
        levels: of integers, or None.
        likelihood: of the decoder.
        model_options: further keywords of the recipe of the method.
        pretrain: how the autoencoder is trained.
        coder: the fitted estimator whose autoencoder is taken over, or None.
        responsibilities: (n, K) clusters to start from, or None.
        optimisation: what all estimators share.
    """

    name: str
    method: Method[TaskKind]
    options: object
    n_components: int
    latent: int
    hidden: tuple[int, ...]
    levels: int | None
    likelihood: str
    model_options: Mapping[str, Any]
    pretrain: Pretrain
    coder: CoderSource | None
    responsibilities: NDArray[np.float64] | None
    optimisation: Optimisation

    @classmethod
    def of(
        cls,
        settings: Mapping[str, Any],
        methods: Mapping[str, Method[TaskKind]],
        shared: Optimisation,
    ) -> Self:
        """The plan of an estimator's settings.

        Args:
            settings: of ``get_params``.
            methods: the table of methods.
            shared: what all estimators have.

        Raises:
            ValueError: naming the setting, what was given and what was expected.

        Warns:
            UnusedSettingWarning: for settings of another method.
        """
        name = settings["method"]
        if not isinstance(name, str) or name not in methods:
            raise ValueError(f"method must be one of {tuple(methods)}, got {name!r}")
        _check_sizes_of(settings)
        method = methods[name]
        coder, clusters = _start(settings["start"], name, method, int(settings["n_components"]))
        model_options = dict(settings["model_options"] or {})
        moved = _moved(model_options, method)
        _check_unused(name, method, settings)
        return cls(
            name=name,
            method=method,
            options=_options(name, methods, settings["method_options"], moved),
            n_components=int(settings["n_components"]),
            latent=int(settings["latent"]),
            hidden=tuple(int(size) for size in settings["hidden"]),
            levels=settings["levels"],
            likelihood=_likelihood(model_options.pop("likelihood", None), settings["levels"]),
            model_options=model_options,
            pretrain=read_group("pretrain", settings["pretrain"], Pretrain),
            coder=coder,
            responsibilities=clusters,
            optimisation=shared,
        )


def _check_sizes_of(settings: Mapping[str, Any]) -> None:
    given = _Given(settings)
    check_whole(given, ("n_components", "latent"), 1)
    check_sizes("hidden", settings["hidden"])
    check_dict(given, ("model_options",))
    for name in settings["model_options"] or {}:
        if name in KNOWN:
            raise ValueError(f"model_options cannot set {name!r}, which fit tells the recipe")
    levels = settings["levels"]
    if levels is not None and not (is_whole(levels) and int(levels) > 1):
        raise ValueError(f"levels must be an integer above 1 or None, got {levels!r}")


class _Given:
    """Settings as attributes, as `anabranch.estimators.numbers` reads them."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        self.__dict__.update(settings)


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


def _moved(model_options: dict[str, object], method: Method[TaskKind]) -> dict[str, object]:
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


def _options(
    name: str,
    methods: Mapping[str, Method[TaskKind]],
    given: object,
    moved: Mapping[str, object],
) -> object:
    """The settings of the method; those of others are left out, with a warning."""
    if moved and (given is None or isinstance(given, Mapping)):
        given = {**moved, **(given or {})}
    kind = methods[name].options
    own = {field.name for field in fields(kind)}
    others = {field.name for method in methods.values() for field in fields(method.options)} - own
    if isinstance(given, Mapping) and (unused := [key for key in given if key in others]):
        known = ", ".join(sorted(own))
        warn_unused(f"method_options.{unused[0]}", f"method={name!r} takes {known}")
        given = {key: value for key, value in given.items() if key not in others}
    return read_group("method_options", given, kind)


def _check_unused(name: str, method: Method[TaskKind], settings: Mapping[str, Any]) -> None:
    pretrain = settings["pretrain"] or {}
    if method.coder is None and pretrain:
        warn_unused("pretrain", f"method={name!r} starts from no autoencoder")
    elif method.coder == "vae" and isinstance(pretrain, Mapping) and pretrain.get("corruption"):
        warn_unused("pretrain.corruption", f"the autoencoder of method={name!r} draws its codes")
    if method.recipe == method.coder and settings["keep"] == "last":
        warn_unused("keep='last'", f"method={name!r} trains an autoencoder only")


def _start(
    given: object, name: str, method: Method[TaskKind], n_components: int
) -> tuple[CoderSource | None, NDArray[np.float64] | None]:
    """The estimator whose autoencoder is taken over, or the clusters of rows."""
    if given is None:
        return None, None
    if isinstance(given, BaseEstimator):
        if method.coder is None:
            raise ValueError(f"method={name!r} starts from no autoencoder, but got one as start")
        return given, None  # pyright: ignore[reportReturnType] - checked by who takes it over
    clusters = np.asarray(given)
    if clusters.ndim == 0:
        raise ValueError(
            "start must be a fitted DeepClustering, labels (n,), responsibilities (n, K) or None, "
            f"got {given!r}"
        )
    if not method.takes_clusters:
        raise ValueError(f"method={name!r} starts from no clusters, but got some as start")
    return None, responsibilities(clusters, n_components)


def responsibilities(given: NDArray[Any], n_components: int) -> NDArray[np.float64]:
    """Clusters as probabilities (n, K), from labels (n,) or probabilities.

    Raises:
        ValueError: for labels outside 0..K-1, rows that are no probabilities, or a cluster without
            rows.

    Example:
        >>> responsibilities(np.array([0, 1, 1]), 2)
        array([[1., 0.],
               [0., 1.],
               [0., 1.]])
    """
    if given.ndim == 1 and np.issubdtype(given.dtype, np.integer):
        if given.min(initial=0) < 0 or given.max(initial=0) >= n_components:
            raise ValueError(
                f"labels of start must be in 0..{n_components - 1}, got {given.min()}.."
                f"{given.max()}"
            )
        probabilities = np.eye(n_components)[given]
    elif given.ndim == 2 and given.shape[1] == n_components:
        probabilities = given.astype(np.float64)
        if not (probabilities >= 0).all() or not np.allclose(probabilities.sum(1), 1):
            raise ValueError("rows of start must be probabilities that sum to 1")
    else:
        raise ValueError(
            f"start must be integers (n,) or probabilities (n, {n_components}), got the shape "
            f"{given.shape} of {given.dtype}"
        )
    empty = np.flatnonzero(probabilities.sum(0) <= 0)
    if len(empty):
        raise ValueError(f"start gives cluster {empty[0]} no rows: each must have some")
    return probabilities


def labels_of(probabilities: NDArray[np.float64]) -> Labels:
    """The most probable cluster of each row, (n,)."""
    return probabilities.argmax(1).astype(np.int64)
