"""The published systems, one short recipe each."""

from anabranch.models.autoregressive import bnaf, iaf, made, maf, nade, naf, rnade
from anabranch.models.classical import tabak_turner
from anabranch.models.clustering import (
    autoencoder,
    dec,
    gmgan,
    hierarchical_gmvae,
    ltvae,
    mixae,
    vade,
    vae,
)
from anabranch.models.coupling import conv_realnvp, nice, nsf, realnvp
from anabranch.models.flow_density import flow_density
from anabranch.models.mixtures import MixtureModel, flow_mixture, keep_components, rad
from anabranch.models.registry import build, list_recipes, recipe
from anabranch.models.variational import (
    GaussianMixtureVAE,
    gmvae,
    label_log_prob,
    planar,
    radial,
    start_from_codes,
)

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
    "hierarchical_gmvae",
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
    "planar",
    "rad",
    "radial",
    "realnvp",
    "recipe",
    "rnade",
    "start_from_codes",
    "tabak_turner",
    "vade",
    "vae",
]
