"""The published systems, one short recipe each."""

from anabranch.models.autoregressive import maf
from anabranch.models.coupling import realnvp
from anabranch.models.mixtures import MixtureModel, flow_mixture
from anabranch.models.registry import build, list_recipes, recipe

__all__ = ["MixtureModel", "build", "flow_mixture", "list_recipes", "maf", "realnvp", "recipe"]
