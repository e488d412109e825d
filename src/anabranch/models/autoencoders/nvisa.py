"""NVISA: a mixture in a latent space, and networks from there to the data and back."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from anabranch.distributions import Distribution
from anabranch.functional.draws import gumbel_draws, normal_draws, one_hot_of_largest
from anabranch.models.autoencoders.likelihoods import make_likelihood
from anabranch.models.autoencoders.mixture_prior import MixturePrior
from anabranch.models.autoencoders.tree_prior import TreePrior, VariableLogits
from anabranch.models.coders import make_coders
from anabranch.models.generators import make_generator
from anabranch.models.inner_densities import build_inner_density
from anabranch.models.mixtures.posterior import make_posterior
from anabranch.models.registry import recipe
from anabranch.models.specs import Spec, split_spec
from anabranch.networks import MLP, ConvDecoder, ConvEncoder, LabelledMLP
from anabranch.objectives import iwae
from anabranch.objectives.mixture_bounds import log_weights

POSTERIORS = ("mean_field", "structured")
TREE = "latent-tree"


class GaussianMixtureVAE(nn.Module):
    r"""A mixture in a latent space, its decoder p(x|z), and q(y|x) q(z|y,x).

    .. math:: p(x) = \sum_y \frac1K \int \mathcal N(z; \mu_y, \sigma_y^2)\, p(x \mid z)\, dz,
        \qquad q(y, z \mid x) = q(y \mid x)\, q(z \mid y, x)

    with standard deviations softplus + 1 in the prior, and softplus + floor in :math:`p(x \mid z)`
    and :math:`q(z \mid y, x)`. `anabranch.objectives.LatentMixtureBound` trains it.

    Source: Li, Zhao, Xu, Chen, Xu, Li, Pei (2021), "Unsupervised clustering through Gaussian
    mixture variational autoencoder with non-reparameterized variational inference and std
    annealing".

    Args:
        classifier: a network from (N, D) to (N, K) logits of q(y|x).
        encoder: gives mean and scale of q(z|y,x), (2 L, ...); without labels it is q(z|x).
        decoder: from z to the parameters of p(x|z): D logits, or D means and D scales.
        prior: K Gaussians over z, or flows that bend them; or a tree of several variables.
        likelihood: "gaussian" or "bernoulli".
        floor: least standard deviation of p(x|z) and q(z|y,x).

    Attributes:
        floor: a buffer, which a schedule may lower.

    Methods that take ``half`` evaluate the networks in bfloat16 where it is true.

    Raises:
        ValueError: for an unknown likelihood, or a floor that is not positive.
    """

    floor: Tensor

    def __init__(
        self,
        classifier: nn.Module,
        encoder: LabelledMLP | ConvEncoder,
        decoder: MLP | ConvDecoder,
        prior: MixturePrior | TreePrior,
        *,
        likelihood: str = "gaussian",
        floor: float = 1e-4,
    ) -> None:
        super().__init__()
        if not floor > 0:
            raise ValueError(f"floor must be positive, got {floor}")
        self.classifier, self.encoder, self.decoder = classifier, encoder, decoder
        self.prior, self.likelihood = prior, make_likelihood(likelihood)
        self.latent, self.n_components = prior.mean.shape
        self.register_buffer("floor", torch.tensor(floor))

    @property
    def structured(self) -> bool:
        """Whether q(z|y,x) depends on y."""
        return self.encoder.label is not None

    # -- densities, of rows that stand in columns -------------------------------------------------

    def logits(self, x: Tensor, *, half: bool = False) -> Tensor:
        """Logits of q(y|x) of rows (N, D), (K, N)."""
        with _networks_in(x, half):
            return self.classifier(x).mT.to(x.dtype)

    def posterior(
        self, x: Tensor, y: Tensor | None = None, *, half: bool = False
    ) -> tuple[Tensor, Tensor]:
        r"""Mean and standard deviation of q(z|y,x) of columns.

        Args:
            x: (D, N).
            y: one-hot labels (K, M, N) for (L, M, N); None for all, (L, K, N), or (L, 1, N) where
                q(z|x) has none.
            half: evaluate the network in bfloat16.
        """
        with _networks_in(x, half):
            parameters = self.encoder.columns(x, y)
        loc, raw = parameters.to(x.dtype).chunk(2)
        return loc, softplus(raw) + self.floor

    def log_likelihood(self, x: Tensor, z: Tensor, *, half: bool = False) -> Tensor:
        r"""Log p(x|z) of columns x (D, N) and z (L, \*lead, N), (\*lead, N) in nats."""
        lead = z.shape[1:]
        affine = self.likelihood.affine_log_prob
        if affine is not None and isinstance(self.decoder, MLP):
            with _networks_in(x, half):
                hidden = self.decoder.hidden_columns(z.flatten(1)).unflatten(1, lead)
            last = self.decoder.last
            return affine(x, hidden, last.weight, last.bias, self.floor)
        with _networks_in(x, half):
            parameters = self.decoder.columns(z.flatten(1))
        parameters = parameters.to(x.dtype).unflatten(1, lead)
        return self.likelihood.log_prob(x, parameters, self.floor)

    # -- use, of rows -----------------------------------------------------------------------------

    def log_q(self, x: Tensor) -> Tensor:
        """Log q(y|x) of rows (N, D), (K, N)."""
        return torch.log_softmax(self.logits(x), dim=0)

    def codes(self, x: Tensor) -> Tensor:
        """Latent means of rows (N, D), E_q[z|x], (N, L)."""
        loc, _ = self.posterior(x.mT)
        return (loc * self.log_q(x).exp()).sum(1).mT if self.structured else loc.squeeze(1).mT

    def decode(self, z: Tensor) -> Tensor:
        """The mean of p(x|z) for latent rows (N, L), (N, D)."""
        return self.likelihood.mean(self.decoder(z).mT).mT

    @torch.no_grad()
    def sample(
        self, n: int, component: int | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw rows (n, D), and the components that they come from, (n,).

        Args:
            n: how many.
            component: of all of them; None for a random one each.
            generator: source of randomness.
        """
        labels = self.prior.draw_labels(n, generator)
        if component is not None:
            labels.fill_(component)
        parameters = self.decoder.columns(self.prior.sample(labels, generator))
        draws = self.likelihood.sample(parameters, self.floor, generator)
        return draws.mT, labels

    @torch.no_grad()
    def importance_log_prob(
        self, x: Tensor, n_samples: int = 100, generator: torch.Generator | None = None
    ) -> Tensor:
        r"""An estimate of log p(x) from below: the bound of S draws of (y, z) from q.

        .. math:: \log \frac1S \sum_s \frac{p(x, y_s, z_s)}{q(y_s, z_s \mid x)}

        All rows share the noise that draws are made of, so that the estimate of a row does not
        depend on the rows beside it.

        Args:
            x: (N, D).
            n_samples: S.
            generator: source of the noise; None for the same noise at every call.

        Returns:
            (N,) in nats; its expectation is below log p(x) and rises with S.
        """
        if generator is None:
            generator = torch.Generator(x.device).manual_seed(0)
        log_q = self.log_q(x)
        gumbel = gumbel_draws((self.n_components, n_samples, 1), x, generator)
        y = one_hot_of_largest(log_q.unsqueeze(1) + gumbel)
        noise = normal_draws((self.latent, n_samples, 1), x, generator)
        return iwae(log_weights(self, x.mT, log_q, y, noise)[0])


def _networks_in(x: Tensor, half: bool) -> torch.autocast:
    """Matrix products of networks in bfloat16, where that is asked for."""
    return torch.autocast(x.device.type, torch.bfloat16, enabled=half)


@recipe
def nvisa(
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
    activation: str = "relu",
    floor: float = 1e-4,
    seed: int | None = None,
) -> GaussianMixtureVAE:
    r"""Clusters as the Gaussians of a latent space.

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
            for each component, which bends its Gaussian, see `MixturePrior`; or {"name":
            "latent-tree", "states": [3, 2]} for several clusterings, whose states multiply to K,
            see `TreePrior`.
        posterior: "structured" for q(z|y,x), "mean_field" for q(z|x).
        classifier: network of q(y|x), see `anabranch.models.mixtures.posterior.make_posterior`;
            None for one of the same kind and sizes as the encoder.
        activation: of all networks.
        floor: least standard deviation of p(x|z) and q(z|y,x).
        seed: of the initial weights.

    Raises:
        ValueError: for an unknown name, hidden without a size, or an image_shape that does not fit.
        TypeError: for a keyword that the network or the flow does not have.

    Example:
        >>> model = nvisa(4, 3, latent=2, hidden=[8], seed=0)
        >>> model.log_q(torch.zeros(5, 4)).shape, model.codes(torch.zeros(5, 4)).shape
        (torch.Size([3, 5]), torch.Size([5, 2]))
    """
    if posterior not in POSTERIORS:
        raise ValueError(f"posterior must be one of {POSTERIORS}, got {posterior!r}")
    for name, size in {"n_components": n_components, "latent": latent}.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")
    generator = make_generator(seed)
    coders = make_coders(network, features, hidden, activation, generator=generator)
    n_labels = n_components if posterior == "structured" else 0
    spec = classifier or coders.classifier
    # arguments are evaluated in turn, and so the initial weights are drawn
    return GaussianMixtureVAE(
        _classifier(spec, features, n_components, prior, generator),
        coders.encoder(n_labels, 2 * latent),
        coders.decoder(latent, make_likelihood(likelihood).n_parameters),
        _make_prior(prior, latent, n_components, seed, generator),
        likelihood=likelihood,
        floor=floor,
    )


def _states(prior: Spec, n_components: int) -> tuple[int, ...] | None:
    """Of the variables of a tree; None for a prior that is none."""
    name, keywords = split_spec("prior", prior)
    if name != TREE:
        return None
    given: Any = dict(keywords)
    states = given.pop("states", None)
    if given or not isinstance(states, Sequence) or isinstance(states, str):
        raise TypeError(f"prior {TREE!r} takes states, a list of integers, got {dict(keywords)}")
    if prod(states) != n_components:
        raise ValueError(
            f"the states of prior {TREE!r} must multiply to n_components {n_components}, got "
            f"{list(states)}"
        )
    return tuple(states)


def _classifier(
    spec: Spec,
    features: int,
    n_components: int,
    prior: Spec,
    generator: torch.Generator | None,
) -> nn.Module:
    states = _states(prior, n_components)
    n_logits = n_components if states is None else sum(states)
    network = make_posterior(spec, features, n_logits, generator=generator)
    return network if states is None else VariableLogits(network, states)


def _make_prior(
    spec: Spec,
    latent: int,
    n_components: int,
    seed: int | None,
    generator: torch.Generator | None,
) -> MixturePrior | TreePrior:
    states = _states(spec, n_components)
    if states is not None:
        return TreePrior(latent, states, generator=generator)
    flows = _prior_flows(spec, latent, n_components, seed)
    return MixturePrior(latent, n_components, flows, generator=generator)


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
