"""The published systems, one short recipe each."""

from anabranch.models.autoregressive import bnaf, iaf, made, maf, nade, naf, rnade
from anabranch.models.classical import tabak_turner
from anabranch.models.coupling import conv_realnvp, nice, nsf, realnvp
from anabranch.models.flow_density import flow_density
from anabranch.models.mixtures import MixtureModel, flow_mixture, keep_components, rad
from anabranch.models.registry import build, list_recipes, recipe
from anabranch.models.variational import planar, radial

__all__ = [
    "MixtureModel",
    "bnaf",
    "build",
    "conv_realnvp",
    "flow_density",
    "flow_mixture",
    "iaf",
    "keep_components",
    "list_recipes",
    "made",
    "maf",
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
    "tabak_turner",
]
