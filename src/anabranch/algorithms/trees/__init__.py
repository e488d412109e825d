"""Latent trees by expectation maximisation and structure search."""

from anabranch.algorithms.trees.additive_start import additive_starts as additive_starts
from anabranch.algorithms.trees.axes import TurnedSearch as TurnedSearch
from anabranch.algorithms.trees.axes import search_turned as search_turned
from anabranch.algorithms.trees.axes import turn_axes as turn_axes
from anabranch.algorithms.trees.search import TreeSearch as TreeSearch
from anabranch.algorithms.trees.search import search_tree as search_tree
from anabranch.algorithms.trees.search import tree_bic as tree_bic
from anabranch.algorithms.trees.stepwise_em import StepwiseEM as StepwiseEM
from anabranch.algorithms.trees.stepwise_em import tree_em as tree_em
