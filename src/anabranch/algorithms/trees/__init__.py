"""Latent trees by expectation maximisation and structure search."""

from anabranch.algorithms.trees.additive_start import additive_starts
from anabranch.algorithms.trees.axes import TurnedSearch, search_turned, turn_axes
from anabranch.algorithms.trees.search import TreeSearch, search_tree, tree_bic
from anabranch.algorithms.trees.stepwise_em import StepwiseEM, tree_em

__all__ = [
    "StepwiseEM",
    "TreeSearch",
    "TurnedSearch",
    "additive_starts",
    "search_tree",
    "search_turned",
    "tree_bic",
    "tree_em",
    "turn_axes",
]
