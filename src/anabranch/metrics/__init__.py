"""Figures that judge clusters, densities and samples.

Example:
    >>> clustering_accuracy([0, 0, 1, 1], [1, 1, 0, 0])
    1.0
"""

from anabranch.metrics.bits import bits_per_dim
from anabranch.metrics.clustering import (
    ContingencyTable,
    adjusted_rand,
    clustering_accuracy,
    contingency_table,
    match_components,
    normalized_mutual_info,
)
from anabranch.metrics.importance import ImportanceDiagnostics, importance_diagnostics, pareto_k
from anabranch.metrics.two_sample import Significance, energy_distance_test, ks_test

__all__ = [
    "ContingencyTable",
    "ImportanceDiagnostics",
    "Significance",
    "adjusted_rand",
    "bits_per_dim",
    "clustering_accuracy",
    "contingency_table",
    "energy_distance_test",
    "importance_diagnostics",
    "ks_test",
    "match_components",
    "normalized_mutual_info",
    "pareto_k",
]
