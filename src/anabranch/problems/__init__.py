"""Toy problems whose density, posterior and entropy are known.

Example:
    >>> sorted(PROBLEMS)
    ['banana', 'gaussian-mixture', 'linear-gaussian', 'mixture-1d', 'moons', 'pinwheel', ...]
    >>> X, labels = PROBLEMS["banana"]().sample(3, random_state=0)
    >>> X.shape, labels.tolist()
    ((3, 2), [0, 0, 0])
"""

from anabranch.problems.arrangements import concentric_gaussians as concentric_gaussians
from anabranch.problems.arrangements import corner_gaussians as corner_gaussians
from anabranch.problems.arrangements import draw_around as draw_around
from anabranch.problems.arrangements import gaussian_grid as gaussian_grid
from anabranch.problems.arrangements import gaussian_ring as gaussian_ring
from anabranch.problems.arrangements import random_gaussian as random_gaussian
from anabranch.problems.arrangements import round_gaussians as round_gaussians
from anabranch.problems.arrangements import unlike_gaussians as unlike_gaussians
from anabranch.problems.banana import Banana as Banana
from anabranch.problems.base import Entropy as Entropy
from anabranch.problems.base import Problem as Problem
from anabranch.problems.branching_video import BranchingVideo as BranchingVideo
from anabranch.problems.conditional_bits import ConditionalBits as ConditionalBits
from anabranch.problems.eight_modes import EightModes as EightModes
from anabranch.problems.energies import Energy as Energy
from anabranch.problems.gaussian_mixture import GaussianMixtureProblem as GaussianMixtureProblem
from anabranch.problems.hidden_clusters import HiddenBlobs as HiddenBlobs
from anabranch.problems.hidden_clusters import TwoFacets as TwoFacets
from anabranch.problems.hidden_clusters import through_network as through_network
from anabranch.problems.inverse_kinematics import InverseKinematics as InverseKinematics
from anabranch.problems.ising import Ising as Ising
from anabranch.problems.linear_gaussian import LinearGaussian as LinearGaussian
from anabranch.problems.manifolds import Arm as Arm
from anabranch.problems.manifolds import ManifoldTarget as ManifoldTarget
from anabranch.problems.mixture_1d import Mixture1D as Mixture1D
from anabranch.problems.moons import Moons as Moons
from anabranch.problems.pinwheel import Pinwheel as Pinwheel
from anabranch.problems.sine_chain import SineChain as SineChain
from anabranch.problems.two_circles import TwoCircles as TwoCircles
from anabranch.problems.unbalanced import sample_unbalanced as sample_unbalanced

PROBLEMS: dict[str, type[Problem]] = {
    "banana": Banana,
    "gaussian-mixture": GaussianMixtureProblem,
    "linear-gaussian": LinearGaussian,
    "mixture-1d": Mixture1D,
    "moons": Moons,
    "pinwheel": Pinwheel,
    "sine-chain": SineChain,
    "two-circles": TwoCircles,
}
