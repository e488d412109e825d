"""Clusters by a Gaussian mixture on the codes of an autoencoder that is left as it is."""

from anabranch.models.autoencoders.autoencoder import Autoencoder
from anabranch.models.autoencoders.vae import VariationalAutoencoder
from anabranch.procedures.clustering_task import ClusteringTask, Trained, encode


def cluster_by_mixture(task: ClusteringTask, *, covariance_type: str, n_init: int) -> Trained:
    """A mixture on the codes, or on their means where the autoencoder is a variational one."""
    kind = VariationalAutoencoder if task.coder == "vae" else Autoencoder
    model, result = task.pretrained(kind)
    codes = encode(model, task.x)
    mixture = task.mixture_of(codes, covariance_type, n_init)
    return Trained(model, mixture.predict(codes), {"autoencoder": result}, mixture)
