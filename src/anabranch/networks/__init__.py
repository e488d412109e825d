"""Networks that produce parameters, each with the component axis."""

from anabranch.networks.amortised import Amortised as Amortised
from anabranch.networks.block import BlockLinear as BlockLinear
from anabranch.networks.block import BlockNetwork as BlockNetwork
from anabranch.networks.causal_conv import CausalConv2d as CausalConv2d
from anabranch.networks.conv import Conv2d as Conv2d
from anabranch.networks.conv_classifier import ConvClassifier as ConvClassifier
from anabranch.networks.conv_decoder import ConvDecoder as ConvDecoder
from anabranch.networks.conv_encoder import ConvEncoder as ConvEncoder
from anabranch.networks.convnet import ConvNet as ConvNet
from anabranch.networks.diagonal_lstm import DiagonalBiLSTM as DiagonalBiLSTM
from anabranch.networks.gated_pixels import GatedPixels as GatedPixels
from anabranch.networks.labelled import LabelledMLP as LabelledMLP
from anabranch.networks.linear import Linear as Linear
from anabranch.networks.made import MADE as MADE
from anabranch.networks.mlp import MLP as MLP
from anabranch.networks.mlp import make_activation as make_activation
from anabranch.networks.nade import NADE as NADE
from anabranch.networks.normalized import NormalizedLinear as NormalizedLinear
from anabranch.networks.orderless import OrderlessMADE as OrderlessMADE
from anabranch.networks.pixel_context import PixelContext as PixelContext
from anabranch.networks.pixel_network import PixelNetwork as PixelNetwork
from anabranch.networks.pixel_network import PixelSizes as PixelSizes
from anabranch.networks.pixel_network import PixelStack as PixelStack
from anabranch.networks.residual_pixels import ResidualPixels as ResidualPixels
from anabranch.networks.row_lstm import RowLSTM as RowLSTM
from anabranch.networks.stacking import select_component as select_component
