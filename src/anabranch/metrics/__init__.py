"""Figures that judge clusters, densities and samples.

Example:
    >>> clustering_accuracy([0, 0, 1, 1], [1, 1, 0, 0])
    1.0
"""

from anabranch.metrics.bits import bits_per_dim as bits_per_dim
from anabranch.metrics.clustering import ContingencyTable as ContingencyTable
from anabranch.metrics.clustering import adjusted_rand as adjusted_rand
from anabranch.metrics.clustering import clustering_accuracy as clustering_accuracy
from anabranch.metrics.clustering import contingency_table as contingency_table
from anabranch.metrics.clustering import match_components as match_components
from anabranch.metrics.clustering import normalized_mutual_info as normalized_mutual_info
from anabranch.metrics.column_information import column_information as column_information
from anabranch.metrics.discrepancy import maximum_mean_discrepancy as maximum_mean_discrepancy
from anabranch.metrics.importance import ImportanceDiagnostics as ImportanceDiagnostics
from anabranch.metrics.importance import importance_diagnostics as importance_diagnostics
from anabranch.metrics.importance import pareto_k as pareto_k
from anabranch.metrics.model_calibration import coverage as coverage
from anabranch.metrics.model_calibration import largest_deviation as largest_deviation
from anabranch.metrics.model_calibration import transform_by_draws as transform_by_draws
from anabranch.metrics.nearest import nearest_neighbour_accuracy as nearest_neighbour_accuracy
from anabranch.metrics.posterior_calibration import Calibration as Calibration
from anabranch.metrics.posterior_calibration import Coverage as Coverage
from anabranch.metrics.posterior_calibration import calibration as calibration
from anabranch.metrics.posterior_calibration import interval_coverage as interval_coverage
from anabranch.metrics.posterior_calibration import (
    median_calibration_error as median_calibration_error,
)
from anabranch.metrics.posterior_calibration import resimulation_error as resimulation_error
from anabranch.metrics.posterior_calibration import sbc_p_values as sbc_p_values
from anabranch.metrics.posterior_calibration import sbc_ranks as sbc_ranks
from anabranch.metrics.posterior_calibration import tarp_coverage as tarp_coverage
from anabranch.metrics.separation import bayes_error as bayes_error
from anabranch.metrics.separation import connections as connections
from anabranch.metrics.separation import density_silhouette as density_silhouette
from anabranch.metrics.separation import overlaps as overlaps
from anabranch.metrics.two_sample import Significance as Significance
from anabranch.metrics.two_sample import energy_distance_test as energy_distance_test
from anabranch.metrics.two_sample import ks_test as ks_test
