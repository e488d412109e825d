"""MIXAE: K autoencoders and their assignments, from clusters of codes or from nothing."""

from dataclasses import dataclass

import torch

from anabranch.estimators.clustering_method import Method, Trained
from anabranch.estimators.clustering_task import Task, encode
from anabranch.estimators.numbers import check_not_negative, check_positive, check_whole
from anabranch.models.autoencoders.mixae import MixtureOfAutoencoders
from anabranch.procedures import fit_mixae
from anabranch.training import FitResult


@dataclass(frozen=True)
class MixaeOptions:
    """Settings of "mixae".

    Attributes:
        learning_rate: of codes and clusters together.
        certainty: weight of the entropy of a row's assignments, at first.
        balance: weight of the entropy of their mean.
        start_epochs: epochs in which each autoencoder learns the rows of one cluster.
    """

    learning_rate: float = 3e-3
    certainty: float = 0.1
    balance: float = 0.5
    start_epochs: int = 20

    def __post_init__(self) -> None:
        check_positive(self, ("learning_rate",))
        check_not_negative(self, ("certainty", "balance"))
        check_whole(self, ("start_epochs",), 0)


def mixture_of_autoencoders(task: Task) -> Trained:
    """Start from clusters where there are any, and train all together."""
    options = task.told(MixaeOptions)
    results: dict[str, FitResult] = {}
    model, _ = task.build(MixtureOfAutoencoders, n_components=task.plan.n_components)
    start = task.given_labels()
    if start is None and task.starts_from_codes():
        coder, results["autoencoder"] = task.autoencoder()
        _, start = task.centers(encode(coder, task.x))
    results["clusters"] = fit_mixae(
        model,
        task.x,
        task.run(options.learning_rate),
        certainty=options.certainty,
        balance=options.balance,
        clusters=None if start is None else torch.as_tensor(start),
        start_epochs=options.start_epochs,
    )
    return Trained(model, None, start, results)


MIXAE = Method(mixture_of_autoencoders, "mixae", MixaeOptions, takes_clusters=True)
