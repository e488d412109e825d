"""Autoencoders, and systems that find clusters in their codes."""

from anabranch.models.autoencoders.autoencoder import autoencoder
from anabranch.models.autoencoders.autoencoder_model import Autoencoder
from anabranch.models.autoencoders.dec import dec
from anabranch.models.autoencoders.embedded_clustering import EmbeddedClustering
from anabranch.models.autoencoders.gmgan import gmgan
from anabranch.models.autoencoders.hierarchical_gmvae import hierarchical_gmvae
from anabranch.models.autoencoders.hierarchical_mixture_vae import HierarchicalMixtureVAE
from anabranch.models.autoencoders.label_scores import label_log_prob
from anabranch.models.autoencoders.latent_tree_vae import LatentTreeVAE
from anabranch.models.autoencoders.ltvae import ltvae
from anabranch.models.autoencoders.mixae import mixae
from anabranch.models.autoencoders.mixture_gan import MixtureGAN
from anabranch.models.autoencoders.mixture_of_autoencoders import MixtureOfAutoencoders
from anabranch.models.autoencoders.nvisa import GaussianMixtureVAE, nvisa
from anabranch.models.autoencoders.vade import vade
from anabranch.models.autoencoders.vae import vae
from anabranch.models.autoencoders.variational_autoencoder import VariationalAutoencoder
from anabranch.models.autoencoders.variational_deep_embedding import VariationalDeepEmbedding

__all__ = [
    "Autoencoder",
    "EmbeddedClustering",
    "GaussianMixtureVAE",
    "HierarchicalMixtureVAE",
    "LatentTreeVAE",
    "MixtureGAN",
    "MixtureOfAutoencoders",
    "VariationalAutoencoder",
    "VariationalDeepEmbedding",
    "autoencoder",
    "dec",
    "gmgan",
    "hierarchical_gmvae",
    "label_log_prob",
    "ltvae",
    "mixae",
    "nvisa",
    "vade",
    "vae",
]
