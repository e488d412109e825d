"""VaDE: a Gaussian mixture on the codes of an autoencoder as the prior, then both."""

from dataclasses import dataclass

from anabranch.estimators.clustering_method import Method, MixtureStart, Trained
from anabranch.estimators.clustering_task import Task, encode, error_of
from anabranch.models.autoencoders.vade import VariationalDeepEmbedding
from anabranch.procedures import fit_vade


@dataclass(frozen=True)
class VadeOptions(MixtureStart):
    """Settings of "vade"; see `MixtureStart`."""

    learning_rate: float = 2e-3


def variational_deep_embedding(task: Task) -> Trained:
    """Start from the mixture, and train to the best bound."""
    options = task.told(VadeOptions)
    model, noise = task.build(VariationalDeepEmbedding, n_components=task.plan.n_components)
    coder, result = task.autoencoder()
    moments, start = task.moments(encode(coder, task.x), options.n_init)
    model.start_from(coder, error_of(result), *moments)
    run = task.run(options.learning_rate, noise)
    clusters = fit_vade(model, task.train, task.held_out, run)
    return Trained(model, None, start, {"autoencoder": result, "clusters": clusters})


VADE = Method(variational_deep_embedding, "vade", VadeOptions, takes_clusters=True)
