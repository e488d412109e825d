"""Systems whose fit takes more than one run of the loop: their starts and their runs."""

from anabranch.procedures.cluster_watch import CollapsedWarning, log_responsibilities
from anabranch.procedures.codes_start import start_from_codes
from anabranch.procedures.fit_dec import fit_dec
from anabranch.procedures.fit_gmgan import fit_gmgan
from anabranch.procedures.fit_gmvae import fit_gmvae
from anabranch.procedures.fit_invariant import InvariantPosterior, fit_invariant
from anabranch.procedures.fit_ltvae import choose_facet, fit_ltvae, start_ltvae
from anabranch.procedures.fit_mixae import fit_mixae
from anabranch.procedures.fit_vade import fit_vade
from anabranch.procedures.training_run import TrainingRun

__all__ = [
    "CollapsedWarning",
    "InvariantPosterior",
    "TrainingRun",
    "choose_facet",
    "fit_dec",
    "fit_gmgan",
    "fit_gmvae",
    "fit_invariant",
    "fit_ltvae",
    "fit_mixae",
    "fit_vade",
    "log_responsibilities",
    "start_from_codes",
    "start_ltvae",
]
