"""Toy problems whose density, posterior and entropy are known.

Example:
    >>> sorted(PROBLEMS)
    ['banana', 'gaussian-mixture', 'mixture-1d', 'moons', 'pinwheel', 'two-circles']
    >>> X, labels = PROBLEMS["banana"]().sample(3, random_state=0)
    >>> X.shape, labels.tolist()
    ((3, 2), [0, 0, 0])
"""

from anabranch.problems.banana import Banana
from anabranch.problems.base import Entropy, Problem
from anabranch.problems.energies import Energy
from anabranch.problems.gaussian_mixture import GaussianMixtureProblem
from anabranch.problems.ising import Ising
from anabranch.problems.mixture_1d import Mixture1D
from anabranch.problems.moons import Moons
from anabranch.problems.pinwheel import Pinwheel
from anabranch.problems.two_circles import TwoCircles

PROBLEMS: dict[str, type[Problem]] = {
    "banana": Banana,
    "gaussian-mixture": GaussianMixtureProblem,
    "mixture-1d": Mixture1D,
    "moons": Moons,
    "pinwheel": Pinwheel,
    "two-circles": TwoCircles,
}

__all__ = [
    "PROBLEMS",
    "Banana",
    "Energy",
    "Entropy",
    "GaussianMixtureProblem",
    "Ising",
    "Mixture1D",
    "Moons",
    "Pinwheel",
    "Problem",
    "TwoCircles",
]
