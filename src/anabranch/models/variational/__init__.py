"""Flows made for variational inference, and autoencoders trained by it."""

from anabranch.models.variational.gmvae import gmvae
from anabranch.models.variational.label_scores import label_log_prob
from anabranch.models.variational.mixture_start import start_from_codes
from anabranch.models.variational.mixture_vae import GaussianMixtureVAE
from anabranch.models.variational.planar import planar
from anabranch.models.variational.radial import radial

__all__ = ["GaussianMixtureVAE", "gmvae", "label_log_prob", "planar", "radial", "start_from_codes"]
