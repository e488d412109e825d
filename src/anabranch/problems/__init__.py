"""Toy problems whose density, posterior and entropy are known.

Example:
    >>> sorted(PROBLEMS)
    ['banana', 'gaussian-mixture', 'mixture-1d', 'moons', 'pinwheel', 'sine-chain', 'two-circles']
    >>> X, labels = PROBLEMS["banana"]().sample(3, random_state=0)
    >>> X.shape, labels.tolist()
    ((3, 2), [0, 0, 0])
"""

from anabranch.problems.arrangements import (
    concentric_gaussians,
    corner_gaussians,
    draw_around,
    gaussian_grid,
    gaussian_ring,
    random_gaussian,
    round_gaussians,
    unlike_gaussians,
)
from anabranch.problems.banana import Banana
from anabranch.problems.base import Entropy, Problem
from anabranch.problems.energies import Energy
from anabranch.problems.gaussian_mixture import GaussianMixtureProblem
from anabranch.problems.hidden_clusters import HiddenBlobs, TwoFacets, through_network
from anabranch.problems.ising import Ising
from anabranch.problems.mixture_1d import Mixture1D
from anabranch.problems.moons import Moons
from anabranch.problems.pinwheel import Pinwheel
from anabranch.problems.sine_chain import SineChain
from anabranch.problems.two_circles import TwoCircles
from anabranch.problems.unbalanced import sample_unbalanced

PROBLEMS: dict[str, type[Problem]] = {
    "banana": Banana,
    "gaussian-mixture": GaussianMixtureProblem,
    "mixture-1d": Mixture1D,
    "moons": Moons,
    "pinwheel": Pinwheel,
    "sine-chain": SineChain,
    "two-circles": TwoCircles,
}

__all__ = [
    "PROBLEMS",
    "Banana",
    "Energy",
    "Entropy",
    "GaussianMixtureProblem",
    "HiddenBlobs",
    "Ising",
    "Mixture1D",
    "Moons",
    "Pinwheel",
    "Problem",
    "SineChain",
    "TwoCircles",
    "TwoFacets",
    "concentric_gaussians",
    "corner_gaussians",
    "draw_around",
    "gaussian_grid",
    "gaussian_ring",
    "random_gaussian",
    "round_gaussians",
    "sample_unbalanced",
    "through_network",
    "unlike_gaussians",
]
