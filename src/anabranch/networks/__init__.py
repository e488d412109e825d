"""Networks that produce parameters, each with the component axis."""

from anabranch.networks.linear import Linear
from anabranch.networks.made import MADE
from anabranch.networks.mlp import MLP, make_activation
from anabranch.networks.stacking import select_component

__all__ = ["MADE", "MLP", "Linear", "make_activation", "select_component"]
