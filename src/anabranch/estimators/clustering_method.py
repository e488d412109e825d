"""What a method of `DeepClustering` is, and what comes out of one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anabranch.estimators.gaussian_mixture import GaussianMixture
from anabranch.estimators.numbers import check_positive, check_whole
from anabranch.training import FitResult

TaskKind = TypeVar("TaskKind")
Labels = NDArray[np.int64]


class CodeModel(Protocol):
    """A module that gives rows codes."""

    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, J) of rows (N, D)."""
        ...

    def eval(self) -> object:
        """Bring it to evaluation mode."""
        ...


@dataclass
class Trained:
    """A fitted model.

    Attributes:
        model: built by a recipe.
        mixture: on the codes, where the model itself has no clusters.
        start: clusters of the rows before the codes were trained together with the clusters; None
            for a method that starts from none.
        results: what each fit did.
    """

    model: CodeModel
    mixture: GaussianMixture | None
    start: Labels | None
    results: dict[str, FitResult] = field(default_factory=dict)


@dataclass(frozen=True)
class Method(Generic[TaskKind]):
    """An entry of the table of methods.

    Attributes:
        train: from a task to a trained model.
        recipe: of its model.
        options: a frozen dataclass that checks itself, the settings of this method.
        coder: the recipe of the autoencoder that it starts from; None for none.
        takes_clusters: whether it may start from clusters that are given.
    """

    train: Callable[[TaskKind], Trained]
    recipe: str
    options: type
    coder: Literal["autoencoder", "vae"] | None = "autoencoder"
    takes_clusters: bool = False


@dataclass(frozen=True)
class MixtureStart:
    """Settings of methods that start from a Gaussian mixture on codes.

    Attributes:
        learning_rate: of codes and clusters together.
        n_init: starts of the mixture.
    """

    learning_rate: float = 1e-3
    n_init: int = 10

    def __post_init__(self) -> None:
        check_positive(self, ("learning_rate",))
        check_whole(self, ("n_init",), 1)
