"""Systems whose fit takes more than one run of the loop: their starts and their runs."""

from anabranch.procedures.cluster_watch import CollapsedWarning, log_responsibilities
from anabranch.procedures.codes_start import start_from_codes
from anabranch.procedures.fit_clusters import fit_self_training, fit_variational
from anabranch.procedures.fit_gmgan import fit_gmgan
from anabranch.procedures.fit_invariant import InvariantPosterior, fit_invariant
from anabranch.procedures.fit_ltvae import choose_facet, fit_ltvae, start_ltvae
from anabranch.procedures.fit_mixae import fit_mixae

__all__ = [
    "CollapsedWarning",
    "InvariantPosterior",
    "choose_facet",
    "fit_gmgan",
    "fit_invariant",
    "fit_ltvae",
    "fit_mixae",
    "fit_self_training",
    "fit_variational",
    "log_responsibilities",
    "start_from_codes",
    "start_ltvae",
]
