"""The methods of `DeepClustering`: of each its settings, its model, and what trains it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from anabranch.functional.numbers import (
    check_not_negative,
    check_positive,
    check_share,
    check_whole,
)
from anabranch.procedures.clustering_task import Trained
from anabranch.procedures.codes_mixture import cluster_by_mixture
from anabranch.procedures.fit_dec import cluster_by_dec
from anabranch.procedures.fit_gmgan import cluster_by_gmgan
from anabranch.procedures.fit_gmvae import cluster_by_gmvae
from anabranch.procedures.fit_ltvae import cluster_by_ltvae
from anabranch.procedures.fit_mixae import cluster_by_mixae
from anabranch.procedures.fit_svae import RATE, cluster_by_svae
from anabranch.procedures.fit_vade import cluster_by_vade


@dataclass(frozen=True)
class Method:
    """An entry of the table of methods.

    Attributes:
        train: from a task, and the settings but for the learning rate, to a trained model.
        recipe: of its model.
        options: a frozen dataclass that checks itself, the settings of this method.
        coder: the recipe of the autoencoder that it starts from; None for none.
        takes_clusters: whether it may start from clusters that are given.
    """

    train: Callable[..., Trained]
    recipe: str
    options: type
    coder: Literal["autoencoder", "vae"] | None = "autoencoder"
    takes_clusters: bool = False


@dataclass(frozen=True)
class MixtureOptions:
    """Settings of "ae+gmm" and "vae+gmm": covariances and starts of the mixture."""

    covariance_type: str = "full"
    n_init: int = 10

    def __post_init__(self) -> None:
        check_whole(self, ("n_init",), 1)


@dataclass(frozen=True)
class DecOptions:
    """Settings of "dec"; see `anabranch.procedures.fit_dec`."""

    # DEC gathers codes at any price, so that it is slowed down
    learning_rate: float = 1e-4
    alpha: float = 1.0
    refresh: int = 140
    tol: float = 1e-3

    def __post_init__(self) -> None:
        check_positive(self, ("learning_rate", "alpha"))
        check_whole(self, ("refresh",), 1)
        check_not_negative(self, ("tol",))


@dataclass(frozen=True)
class IdecOptions(DecOptions):
    """Settings of "idec": also the weight of the error per feature."""

    learning_rate: float = 1e-3
    reconstruction: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, ("reconstruction",))


@dataclass(frozen=True)
class VadeOptions:
    """Settings of "vade", and of all that start from a Gaussian mixture on codes."""

    learning_rate: float = 2e-3
    n_init: int = 10

    def __post_init__(self) -> None:
        check_positive(self, ("learning_rate",))
        check_whole(self, ("n_init",), 1)


@dataclass(frozen=True)
class GmvaeOptions(VadeOptions):
    """Settings of "gmvae"; see `anabranch.procedures.fit_gmvae`."""

    learning_rate: float = 1e-3
    information: float | None = None
    entropy: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative(self, ("information",), optional=True)
        check_not_negative(self, ("entropy",))


@dataclass(frozen=True)
class SvaeOptions(VadeOptions):
    """Settings of "svae": also of the natural gradient steps; `anabranch.procedures.fit_svae`."""

    rate: float = RATE

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share(self, ("rate",))


@dataclass(frozen=True)
class TreeOptions:
    """Settings of "ltvae"; see `anabranch.procedures.fit_ltvae`."""

    learning_rate: float = 1e-3
    rounds: int = 2
    eta: float = 0.05

    def __post_init__(self) -> None:
        check_positive(self, ("learning_rate",))
        check_whole(self, ("rounds",), 1)
        check_share(self, ("eta",))


@dataclass(frozen=True)
class OneVariableOptions(TreeOptions):
    """Settings of "ltvae-gmm": also the starts of its mixture."""

    n_init: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, ("n_init",), 1)


@dataclass(frozen=True)
class MixaeOptions:
    """Settings of "mixae"; see `anabranch.procedures.fit_mixae`."""

    learning_rate: float = 3e-3
    certainty: float = 0.1
    balance: float = 0.5
    start_epochs: int = 20

    def __post_init__(self) -> None:
        check_positive(self, ("learning_rate",))
        check_not_negative(self, ("certainty", "balance"))
        check_whole(self, ("start_epochs",), 0)


@dataclass(frozen=True)
class GmganOptions:
    """Settings of "gmgan"; see `anabranch.procedures.fit_gmgan`."""

    learning_rate: float = 1e-3
    loss: str = "nonsaturating"
    penalty: float | None = None
    critic_steps: int = 1
    n_drawn: int = 8000

    def __post_init__(self) -> None:
        check_positive(self, ("learning_rate",))
        check_not_negative(self, ("penalty",), optional=True)
        check_whole(self, ("critic_steps", "n_drawn"), 1)


METHODS = {
    "ae+gmm": Method(cluster_by_mixture, "autoencoder", MixtureOptions),
    "vae+gmm": Method(cluster_by_mixture, "vae", MixtureOptions, coder="vae"),
    "dec": Method(cluster_by_dec, "dec", DecOptions, takes_clusters=True),
    "idec": Method(cluster_by_dec, "dec", IdecOptions, takes_clusters=True),
    "vade": Method(cluster_by_vade, "vade", VadeOptions, takes_clusters=True),
    "gmvae": Method(cluster_by_gmvae, "gmvae", GmvaeOptions, takes_clusters=True),
    "svae": Method(cluster_by_svae, "svae", SvaeOptions, takes_clusters=True),
    "mixae": Method(cluster_by_mixae, "mixae", MixaeOptions, takes_clusters=True),
    "gmgan": Method(cluster_by_gmgan, "gmgan", GmganOptions, coder=None),
    "ltvae-gmm": Method(cluster_by_ltvae, "ltvae", OneVariableOptions),
    "ltvae": Method(cluster_by_ltvae, "ltvae", TreeOptions),
}
