"""Systems whose fit takes more than one run of the loop: their starts and their runs."""

from anabranch.procedures.cluster_watch import CollapsedWarning as CollapsedWarning
from anabranch.procedures.cluster_watch import log_responsibilities as log_responsibilities
from anabranch.procedures.codes_start import start_from_codes as start_from_codes
from anabranch.procedures.fit_by_rows import fit_rows as fit_rows
from anabranch.procedures.fit_cumulative import fit_cumulative as fit_cumulative
from anabranch.procedures.fit_cumulative import fit_quantiles as fit_quantiles
from anabranch.procedures.fit_dec import fit_dec as fit_dec
from anabranch.procedures.fit_flow_gan import fit_flow_gan as fit_flow_gan
from anabranch.procedures.fit_gmgan import fit_gmgan as fit_gmgan
from anabranch.procedures.fit_gmvae import fit_gmvae as fit_gmvae
from anabranch.procedures.fit_invariant import InvariantPosterior as InvariantPosterior
from anabranch.procedures.fit_invariant import fit_invariant as fit_invariant
from anabranch.procedures.fit_ltvae import choose_facet as choose_facet
from anabranch.procedures.fit_ltvae import fit_ltvae as fit_ltvae
from anabranch.procedures.fit_ltvae import start_ltvae as start_ltvae
from anabranch.procedures.fit_mixae import fit_mixae as fit_mixae
from anabranch.procedures.fit_svae import fit_svae as fit_svae
from anabranch.procedures.fit_vade import fit_vade as fit_vade
from anabranch.procedures.fit_vine_autoencoder import (
    fit_vine_autoencoder as fit_vine_autoencoder,
)
from anabranch.procedures.training_run import TrainingRun as TrainingRun
