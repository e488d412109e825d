"""The methods of `DeepClustering`: a file for each family of them, and a line for each method."""

from anabranch.estimators.clustering_method import Method
from anabranch.estimators.clustering_methods.by_dec import DEC, IDEC
from anabranch.estimators.clustering_methods.by_gmgan import GMGAN
from anabranch.estimators.clustering_methods.by_gmvae import GMVAE
from anabranch.estimators.clustering_methods.by_ltvae import LTVAE, LTVAE_GMM
from anabranch.estimators.clustering_methods.by_mixae import MIXAE
from anabranch.estimators.clustering_methods.by_mixture import AE_GMM, VAE_GMM
from anabranch.estimators.clustering_methods.by_vade import VADE
from anabranch.estimators.clustering_task import Task

METHODS: dict[str, Method[Task]] = {
    "ae+gmm": AE_GMM,
    "vae+gmm": VAE_GMM,
    "dec": DEC,
    "idec": IDEC,
    "vade": VADE,
    "gmvae": GMVAE,
    "mixae": MIXAE,
    "gmgan": GMGAN,
    "ltvae-gmm": LTVAE_GMM,
    "ltvae": LTVAE,
}

__all__ = ["METHODS"]
