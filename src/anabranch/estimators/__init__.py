"""The scikit-learn face."""

from anabranch.estimators.coder import Coder as Coder
from anabranch.estimators.deep_clustering import DeepClustering as DeepClustering
from anabranch.estimators.deep_mixture import DeepMixture as DeepMixture
from anabranch.estimators.files import load as load
from anabranch.estimators.files import save as save
from anabranch.estimators.flow_density import FlowDensity as FlowDensity
from anabranch.estimators.flow_gmm import FlowGMM as FlowGMM
from anabranch.estimators.flow_mixture import FlowMixture as FlowMixture
from anabranch.estimators.flow_vae import FlowVAE as FlowVAE
from anabranch.estimators.gaussian_mixture import GaussianMixture as GaussianMixture
from anabranch.estimators.neural_posterior import NeuralPosterior as NeuralPosterior
from anabranch.estimators.pixel_density import PixelDensity as PixelDensity
from anabranch.estimators.rad import RAD as RAD
from anabranch.estimators.selection import Selection as Selection
from anabranch.estimators.selection import choose_n_components as choose_n_components
