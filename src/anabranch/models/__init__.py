"""The published systems, one short recipe each."""

from anabranch.models.autoregressive import maf
from anabranch.models.coupling import conv_realnvp, realnvp
from anabranch.models.mixtures import MixtureModel, flow_mixture, keep_components, rad
from anabranch.models.registry import build, list_recipes, recipe

__all__ = [
    "MixtureModel",
    "build",
    "conv_realnvp",
    "flow_mixture",
    "keep_components",
    "list_recipes",
    "maf",
    "rad",
    "realnvp",
    "recipe",
]
