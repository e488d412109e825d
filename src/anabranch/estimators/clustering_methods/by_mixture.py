"""An autoencoder, and a Gaussian mixture on its codes."""

from dataclasses import dataclass

from anabranch.estimators.clustering_method import CodeModel, Method, Trained
from anabranch.estimators.clustering_task import Task, encode
from anabranch.estimators.numbers import check_whole
from anabranch.training import FitResult


@dataclass(frozen=True)
class MixtureOptions:
    """Settings of "ae+gmm" and "vae+gmm".

    Attributes:
        covariance_type: of the mixture: "full", "tied", "diag", "spherical" or "auto".
        n_init: its starts.
    """

    covariance_type: str = "full"
    n_init: int = 10

    def __post_init__(self) -> None:
        check_whole(self, ("n_init",), 1)


def autoencoder_mixture(task: Task) -> Trained:
    """A mixture on the codes of an autoencoder."""
    return _on_codes(task, *task.autoencoder())


def variational_mixture(task: Task) -> Trained:
    """A mixture on the means of the codes of a variational autoencoder."""
    return _on_codes(task, *task.variational_autoencoder())


def _on_codes(task: Task, model: CodeModel, result: FitResult) -> Trained:
    options, codes = task.told(MixtureOptions), encode(model, task.x)
    mixture = task.mixture(codes, options.covariance_type, options.n_init)
    return Trained(model, mixture, mixture.predict(codes), {"autoencoder": result})


AE_GMM = Method(autoencoder_mixture, "autoencoder", MixtureOptions)
VAE_GMM = Method(variational_mixture, "vae", MixtureOptions, coder="vae")
