"""Autoencoders, and systems that find clusters in their codes."""

from anabranch.models.autoencoders.autoencoder import Autoencoder, autoencoder
from anabranch.models.autoencoders.dec import EmbeddedClustering, dec
from anabranch.models.autoencoders.gmgan import MixtureGAN, gmgan
from anabranch.models.autoencoders.gmvae import HierarchicalMixtureVAE, gmvae
from anabranch.models.autoencoders.label_scores import label_log_prob
from anabranch.models.autoencoders.ltvae import LatentTreeVAE, ltvae
from anabranch.models.autoencoders.mixae import MixtureOfAutoencoders, mixae
from anabranch.models.autoencoders.nvisa import GaussianMixtureVAE, nvisa
from anabranch.models.autoencoders.vade import VariationalDeepEmbedding, vade
from anabranch.models.autoencoders.vae import VariationalAutoencoder, vae

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
    "gmvae",
    "label_log_prob",
    "ltvae",
    "mixae",
    "nvisa",
    "vade",
    "vae",
]
