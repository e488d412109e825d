"""Gaussian-mixture variational autoencoder."""

from collections.abc import Sequence
from typing import Any

from anabranch.distributions import Distribution
from anabranch.models.autoencoders.likelihoods import make_likelihood
from anabranch.models.autoencoders.mixture_vae import GaussianMixtureVAE
from anabranch.models.coders import make_coders
from anabranch.models.generators import make_generator
from anabranch.models.inner_densities import build_inner_density
from anabranch.models.mixtures.posterior import make_posterior
from anabranch.models.registry import recipe
from anabranch.models.specs import Spec, split_spec
from anabranch.networks import MLP
from anabranch.objectives.perturbations import make_perturbation

POSTERIORS = ("mean_field", "structured")


@recipe
def gmvae(
    features: int,
    n_components: int,
    *,
    latent: int = 10,
    hidden: Sequence[int] = (500, 500),
    network: str | dict[str, Any] = "mlp",
    likelihood: str = "gaussian",
    prior: str | dict[str, Any] = "gaussian",
    posterior: str = "structured",
    classifier: str | dict[str, Any] | None = None,
    objective: str = "vimco",
    samples: int | None = None,
    reparameterized: bool = False,
    inference: str = "variational",
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
        hidden: sizes of the hidden layers of encoder and q(y|x), in reverse order of the decoder;
            of networks other than "mlp" the spec says them.
        network: of encoder and decoder, see `anabranch.models.coders.make_coders`.
        likelihood: "gaussian", or "bernoulli" for values in [0, 1].
        prior: "gaussian", or the recipe of a flow by name or as {"name": ..., keyword: value}: one
            for each component, which bends its Gaussian; see `MixturePrior`.
        posterior: "structured" for q(z|y,x), "mean_field" for q(z|x).
        classifier: network of q(y|x), see `anabranch.models.mixtures.posterior.make_posterior`;
            None for one of the same kind and sizes as the encoder.
        objective: "enumerate", "iwae", "vimco", "nvil" or "gumbel"; see `GaussianMixtureVAE`, as
            for the arguments that follow.
        samples: M.
        reparameterized: whether gradients flow through z.
        inference: "variational"; or "invariant", where q(y|x) learns from consistency, balance and
            labels alone.
        baseline: hidden sizes of NVIL's baseline network; () for a linear one.
        activation: of all networks.
        floor: least standard deviation of p(x|z) and q(z|y,x).
        temperature: of the relaxed y in "gumbel".
        perturbation: see `anabranch.objectives.make_perturbation`; small noise if None.
        consistency: weight of the consistency of q(y|x) under the perturbation.
        balance: weight of H(q(y|x)) - 4 H(mean q).
        label_weight: weight of the cross-entropy on labelled rows.
        half_precision: evaluate the networks in bfloat16.
        seed: of the initial weights.

    Raises:
        ValueError: for an unknown name, too few samples, hidden without a size, or an image_shape
            that does not fit.
        TypeError: for a keyword that the network or the flow does not have.

    Example:
        >>> import torch
        >>> model = gmvae(4, 3, latent=2, hidden=[8], seed=0)
        >>> model.log_q(torch.zeros(5, 4)).shape, model.codes(torch.zeros(5, 4)).shape
        (torch.Size([3, 5]), torch.Size([5, 2]))
    """
    if posterior not in POSTERIORS:
        raise ValueError(f"posterior must be one of {POSTERIORS}, got {posterior!r}")
    for name, size in {"n_components": n_components, "latent": latent}.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")
    common: dict[str, Any] = {"activation": activation, "generator": make_generator(seed)}
    coders = make_coders(network, features, hidden, **common)
    n_labels = n_components if posterior == "structured" else 0
    spec = classifier or coders.classifier
    return GaussianMixtureVAE(
        make_posterior(spec, features, n_components, generator=common["generator"]),
        coders.encoder(n_labels, 2 * latent),
        coders.decoder(latent, make_likelihood(likelihood).n_parameters),
        n_components=n_components,
        latent=latent,
        likelihood=likelihood,
        objective=objective,
        samples=samples,
        reparameterized=reparameterized,
        inference=inference,
        prior_flows=_prior_flows(prior, latent, n_components, seed),
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


def _prior_flows(
    prior: Spec, latent: int, n_components: int, seed: int | None
) -> Distribution | None:
    name, keywords = split_spec("prior", prior)
    if name == "gaussian":
        if keywords:
            raise TypeError(f"prior 'gaussian' has no keywords, got {', '.join(keywords)}")
        return None
    own_seed = None if seed is None else seed + 1
    return build_inner_density(
        {"name": name, **keywords}, latent, (n_components,), own_seed, role="prior"
    )
