"""Deep clustering: autoencoders, and systems that gather their codes."""

from anabranch.models.clustering.autoencoder import autoencoder
from anabranch.models.clustering.autoencoder_model import Autoencoder
from anabranch.models.clustering.dec import dec
from anabranch.models.clustering.embedded_clustering import EmbeddedClustering
from anabranch.models.clustering.gmgan import gmgan
from anabranch.models.clustering.gmgan_run import fit_gmgan
from anabranch.models.clustering.hierarchical_gmvae import hierarchical_gmvae
from anabranch.models.clustering.hierarchical_mixture_vae import HierarchicalMixtureVAE
from anabranch.models.clustering.latent_tree_run import choose_facet, fit_ltvae, start_ltvae
from anabranch.models.clustering.latent_tree_vae import LatentTreeVAE
from anabranch.models.clustering.ltvae import ltvae
from anabranch.models.clustering.mixae import mixae
from anabranch.models.clustering.mixae_run import fit_mixae
from anabranch.models.clustering.mixture_gan import MixtureGAN
from anabranch.models.clustering.mixture_of_autoencoders import MixtureOfAutoencoders
from anabranch.models.clustering.runs import fit_self_training, fit_variational
from anabranch.models.clustering.vade import vade
from anabranch.models.clustering.vae import vae
from anabranch.models.clustering.variational_autoencoder import VariationalAutoencoder
from anabranch.models.clustering.variational_deep_embedding import VariationalDeepEmbedding
from anabranch.models.clustering.watch import CollapsedWarning, log_responsibilities

__all__ = [
    "Autoencoder",
    "CollapsedWarning",
    "EmbeddedClustering",
    "HierarchicalMixtureVAE",
    "LatentTreeVAE",
    "MixtureGAN",
    "MixtureOfAutoencoders",
    "VariationalAutoencoder",
    "VariationalDeepEmbedding",
    "autoencoder",
    "choose_facet",
    "dec",
    "fit_gmgan",
    "fit_ltvae",
    "fit_mixae",
    "fit_self_training",
    "fit_variational",
    "gmgan",
    "hierarchical_gmvae",
    "log_responsibilities",
    "ltvae",
    "mixae",
    "start_ltvae",
    "vade",
    "vae",
]
