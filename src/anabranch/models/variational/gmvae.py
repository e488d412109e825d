"""Gaussian-mixture variational autoencoder."""

from collections.abc import Sequence
from typing import Any

from anabranch.models.mixtures.posterior import make_posterior
from anabranch.models.registry import recipe
from anabranch.models.seeds import seeded
from anabranch.models.variational.mixture_vae import GaussianMixtureVAE
from anabranch.networks import MLP, LabelledMLP
from anabranch.training.perturbations import make_perturbation

POSTERIORS = ("mean_field", "structured")


@recipe
def gmvae(
    features: int,
    n_components: int,
    *,
    latent: int = 10,
    hidden: Sequence[int] = (500, 500),
    likelihood: str = "gaussian",
    posterior: str = "structured",
    classifier: str | dict[str, Any] | None = None,
    objective: str = "vimco",
    samples: int | None = None,
    reparameterized: bool = False,
    baseline: Sequence[int] = (100,),
    activation: str = "relu",
    floor: float = 1e-4,
    temperature: float = 0.5,
    perturbation: str | dict[str, Any] | None = None,
    consistency: float = 0.0,
    balance: float = 0.0,
    label_weight: float = 1.0,
    half_precision: bool = False,
    seed: int | None = None,
) -> GaussianMixtureVAE:
    r"""Clusters as the Gaussians of a latent space: NVISA, and the variants beside it.

    .. math:: p(x, y, z) = \tfrac1K\, \mathcal N(z; \mu_y, \sigma_y^2)\, p(x \mid z), \qquad
        q(y, z \mid x) = q(y \mid x)\, q(z \mid y, x)

    Source: Li, Zhao, Xu, Chen, Xu, Li, Pei (2021), "Unsupervised clustering through Gaussian
    mixture variational autoencoder with non-reparameterized variational inference and std
    annealing"; the mean-field form: Dilokthanakul et al. (2016), arXiv:1611.02648.

    Args:
        features: D.
        n_components: K.
        latent: L.
        hidden: sizes of the hidden layers of encoder and q(y|x), in reverse order of the decoder.
        likelihood: "gaussian", or "bernoulli" for values in [0, 1].
        posterior: "structured" for q(z|y,x), "mean_field" for q(z|x).
        classifier: network of q(y|x), see `anabranch.models.mixtures.posterior.make_posterior`;
            None for an MLP with ``hidden``.
        objective: "enumerate", "iwae", "vimco", "nvil" or "gumbel"; see `GaussianMixtureVAE`, as
            for the arguments that follow.
        samples: M.
        reparameterized: whether gradients flow through z.
        baseline: hidden sizes of NVIL's baseline network; () for a linear one.
        activation: of all networks.
        floor: least standard deviation of p(x|z) and q(z|y,x).
        temperature: of the relaxed y in "gumbel".
        perturbation: see `anabranch.training.perturbations.make_perturbation`; small noise if None.
        consistency: weight of the consistency of q(y|x) under the perturbation.
        balance: weight of H(q(y|x)) - 4 H(mean q).
        label_weight: weight of the cross-entropy on labelled rows.
        half_precision: evaluate the networks in bfloat16.
        seed: of the initial weights.

    Raises:
        ValueError: for an unknown name, too few samples, or hidden without a size.

    Example:
        >>> import torch
        >>> model = gmvae(4, 3, latent=2, hidden=[8], seed=0)
        >>> model.log_q(torch.zeros(5, 4)).shape, model.codes(torch.zeros(5, 4)).shape
        (torch.Size([3, 5]), torch.Size([5, 2]))
    """
    if posterior not in POSTERIORS:
        raise ValueError(f"posterior must be one of {POSTERIORS}, got {posterior!r}")
    common: dict[str, Any] = {"activation": activation, "generator": seeded(seed)}
    n_labels = n_components if posterior == "structured" else 0
    n_parameters = features if likelihood == "bernoulli" else 2 * features
    spec = classifier or {"name": "mlp", "hidden": list(hidden), "activation": activation}
    return GaussianMixtureVAE(
        make_posterior(spec, features, n_components, generator=common["generator"]),
        LabelledMLP(features, n_labels, 2 * latent, hidden, **common),
        MLP(latent, n_parameters, list(reversed(hidden)), **common),
        n_components=n_components,
        latent=latent,
        likelihood=likelihood,
        objective=objective,
        samples=samples,
        reparameterized=reparameterized,
        baseline=MLP(features, 1, baseline, **common) if objective == "nvil" else None,
        floor=floor,
        temperature=temperature,
        perturbation=(
            make_perturbation(perturbation or "noise", features=features) if consistency else None
        ),
        consistency_weight=consistency,
        balance_weight=balance,
        label_weight=label_weight,
        half_precision=half_precision,
        generator=common["generator"],
    )
