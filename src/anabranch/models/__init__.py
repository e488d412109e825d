"""The published systems, one short recipe each."""

from anabranch.models.autoencoders.autoencoder import autoencoder
from anabranch.models.autoencoders.dec import dec
from anabranch.models.autoencoders.gmgan import gmgan
from anabranch.models.autoencoders.gmvae import gmvae
from anabranch.models.autoencoders.label_scores import label_log_prob
from anabranch.models.autoencoders.ltvae import ltvae
from anabranch.models.autoencoders.mixae import mixae
from anabranch.models.autoencoders.nvisa import GaussianMixtureVAE, nvisa
from anabranch.models.autoencoders.vade import vade
from anabranch.models.autoencoders.vae import vae
from anabranch.models.densities.flow_density import flow_density
from anabranch.models.densities.made import made
from anabranch.models.densities.nade import nade
from anabranch.models.densities.rnade import rnade
from anabranch.models.flows.bnaf import bnaf
from anabranch.models.flows.iaf import iaf
from anabranch.models.flows.maf import maf
from anabranch.models.flows.naf import naf
from anabranch.models.flows.nice import nice
from anabranch.models.flows.nsf import nsf
from anabranch.models.flows.planar import planar
from anabranch.models.flows.radial import radial
from anabranch.models.flows.realnvp import realnvp
from anabranch.models.flows.tabak_turner import tabak_turner
from anabranch.models.images.conv_realnvp import conv_realnvp
from anabranch.models.mixtures.flow_mixture import flow_mixture
from anabranch.models.mixtures.mixture_model import MixtureModel
from anabranch.models.mixtures.pruning import keep_components
from anabranch.models.mixtures.rad import rad
from anabranch.models.registry import build, list_recipes, recipe

__all__ = [
    "GaussianMixtureVAE",
    "MixtureModel",
    "autoencoder",
    "bnaf",
    "build",
    "conv_realnvp",
    "dec",
    "flow_density",
    "flow_mixture",
    "gmgan",
    "gmvae",
    "iaf",
    "keep_components",
    "label_log_prob",
    "list_recipes",
    "ltvae",
    "made",
    "maf",
    "mixae",
    "nade",
    "naf",
    "nice",
    "nsf",
    "nvisa",
    "planar",
    "rad",
    "radial",
    "realnvp",
    "recipe",
    "rnade",
    "tabak_turner",
    "vade",
    "vae",
]
