"""Deep clustering: autoencoders, and systems that gather their codes."""

from anabranch.models.clustering.autoencoder import autoencoder
from anabranch.models.clustering.autoencoder_model import Autoencoder
from anabranch.models.clustering.dec import dec
from anabranch.models.clustering.embedded_clustering import EmbeddedClustering
from anabranch.models.clustering.runs import fit_self_training, fit_vade
from anabranch.models.clustering.vade import vade
from anabranch.models.clustering.vae import vae
from anabranch.models.clustering.variational_autoencoder import VariationalAutoencoder
from anabranch.models.clustering.variational_deep_embedding import VariationalDeepEmbedding
from anabranch.models.clustering.watch import CollapsedWarning, log_responsibilities

__all__ = [
    "Autoencoder",
    "CollapsedWarning",
    "EmbeddedClustering",
    "VariationalAutoencoder",
    "VariationalDeepEmbedding",
    "autoencoder",
    "dec",
    "fit_self_training",
    "fit_vade",
    "log_responsibilities",
    "vade",
    "vae",
]
