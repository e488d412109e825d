"""Networks that produce parameters, each with the component axis."""

from anabranch.networks.amortised import Amortised
from anabranch.networks.block import BlockLinear, BlockNetwork
from anabranch.networks.conv import Conv2d
from anabranch.networks.conv_classifier import ConvClassifier
from anabranch.networks.conv_decoder import ConvDecoder
from anabranch.networks.conv_encoder import ConvEncoder
from anabranch.networks.convnet import ConvNet
from anabranch.networks.labelled import LabelledMLP
from anabranch.networks.linear import Linear
from anabranch.networks.made import MADE
from anabranch.networks.mlp import MLP, make_activation
from anabranch.networks.nade import NADE
from anabranch.networks.normalized import NormalizedLinear
from anabranch.networks.orderless import OrderlessMADE
from anabranch.networks.stacking import select_component

__all__ = [
    "MADE",
    "MLP",
    "NADE",
    "Amortised",
    "BlockLinear",
    "BlockNetwork",
    "Conv2d",
    "ConvClassifier",
    "ConvDecoder",
    "ConvEncoder",
    "ConvNet",
    "LabelledMLP",
    "Linear",
    "NormalizedLinear",
    "OrderlessMADE",
    "make_activation",
    "select_component",
]
