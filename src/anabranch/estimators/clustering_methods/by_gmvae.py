"""GMVAE: a prior whose components depend on a further latent, from a mixture or from nothing."""

from dataclasses import dataclass

from anabranch.estimators.clustering_method import Method, MixtureStart, Trained
from anabranch.estimators.clustering_task import Task, encode, error_of
from anabranch.estimators.numbers import check_not_negative
from anabranch.models.autoencoders.gmvae import HierarchicalMixtureVAE
from anabranch.procedures import fit_gmvae
from anabranch.training import FitResult


@dataclass(frozen=True)
class GmvaeOptions(MixtureStart):
    """Settings of "gmvae"; see `MixtureStart`.

    Attributes:
        information: nats of KL(p(k|z,w) || p(k)) per row that cost nothing; None for three quarters
            of log K.
        entropy: weight of the entropy of p(k|z,w) in the loss.
    """

    information: float | None = None
    entropy: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative(self, ("information",), optional=True)
        check_not_negative(self, ("entropy",))


def hierarchical(task: Task) -> Trained:
    """Start from the mixture where there is an autoencoder, and train to the best bound."""
    options = task.told(GmvaeOptions)
    results: dict[str, FitResult] = {}
    model, noise = task.build(HierarchicalMixtureVAE, n_components=task.plan.n_components)
    start = None
    if task.starts_from_codes():
        coder, results["autoencoder"] = task.autoencoder()
        moments, start = task.moments(encode(coder, task.x), options.n_init)
        model.start_from(coder, error_of(results["autoencoder"]), *moments)
    results["clusters"] = fit_gmvae(
        model,
        task.train,
        task.held_out,
        task.run(options.learning_rate, noise),
        information=options.information,
        entropy=options.entropy,
    )
    return Trained(model, None, start, results)


GMVAE = Method(hierarchical, "gmvae", GmvaeOptions, takes_clusters=True)
