"""LTVAE: a tree of discrete variables as the prior, fitted by stepwise EM."""

from dataclasses import dataclass

import numpy as np

from anabranch.estimators.clustering_method import Method, MixtureStart, Trained
from anabranch.estimators.clustering_task import Task, encode, error_of
from anabranch.estimators.numbers import check_positive, check_share, check_whole
from anabranch.models.autoencoders.autoencoder import Autoencoder
from anabranch.models.autoencoders.ltvae import LatentTreeVAE
from anabranch.procedures import (
    choose_facet,
    fit_ltvae,
    log_responsibilities,
    search_ltvae,
    start_ltvae,
)


@dataclass(frozen=True)
class TreeOptions:
    """Settings of "ltvae".

    Attributes:
        learning_rate: of codes and clusters together.
        rounds: how often networks and tree are trained in turn.
        eta: weight of a batch in the averages of stepwise EM.
    """

    learning_rate: float = 1e-3
    rounds: int = 2
    eta: float = 0.05

    def __post_init__(self) -> None:
        check_positive(self, ("learning_rate",))
        check_whole(self, ("rounds",), 1)
        check_share(self, ("eta",))


@dataclass(frozen=True)
class OneVariableOptions(TreeOptions, MixtureStart):
    """Settings of "ltvae-gmm": also the starts of its mixture."""

    def __post_init__(self) -> None:
        TreeOptions.__post_init__(self)
        MixtureStart.__post_init__(self)


def latent_tree(task: Task) -> Trained:
    """Start from one variable, or from a tree that is searched, and train by turns."""
    options, n_components = task.told(TreeOptions), task.plan.n_components
    coder, result = task.autoencoder()
    task.distinct(encode(coder, task.x))
    model, noise = task.build(LatentTreeVAE, n_components=n_components)
    _start(task, options, model, coder, error_of(result))
    choose_facet(model, task.x, n_components)
    start = log_responsibilities(model, task.x).argmax(0).cpu().numpy()
    clusters = fit_ltvae(
        model,
        task.train,
        task.held_out,
        task.run(options.learning_rate, noise),
        max_states=None if isinstance(options, OneVariableOptions) else n_components,
        rounds=options.rounds,
        eta=options.eta,
    )
    choose_facet(model, task.x, n_components)
    return Trained(model, None, start, {"autoencoder": result, "clusters": clusters})


def _start(
    task: Task, options: TreeOptions, model: LatentTreeVAE, coder: Autoencoder, error: float
) -> None:
    how = {"error": error, "random_state": np.random.RandomState(task.seed)}
    k = task.plan.n_components
    if isinstance(options, OneVariableOptions):
        start_ltvae(model, coder, task.train, n_components=k, n_init=options.n_init, **how)
    else:
        search_ltvae(model, coder, task.train, max_states=k, **how)


LTVAE_GMM = Method(latent_tree, "ltvae", OneVariableOptions)
LTVAE = Method(latent_tree, "ltvae", TreeOptions)
