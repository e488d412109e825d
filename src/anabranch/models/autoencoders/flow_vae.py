"""Variational autoencoder of any posterior, prior and likelihood."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from anabranch.distributions import (
    DiagonalNormal,
    Distribution,
    Flow,
    GaussianCopula,
    HamiltonianFlow,
    Normal,
    VampPrior,
)
from anabranch.models.autoencoders.dense_coders import Decoder, NetworkOptions
from anabranch.models.autoencoders.hamiltonian_posteriors import WithRows, hamiltonian_posterior
from anabranch.models.autoencoders.latent_posteriors import latent_posterior
from anabranch.models.generators import make_generator
from anabranch.models.inner_densities import build_inner_density
from anabranch.models.registry import recipe
from anabranch.models.specs import Spec, parse_spec, split_spec
from anabranch.networks import MLP


class FlowVariationalAutoencoder(nn.Module):
    r"""A latent density whose posterior, prior and likelihood are whatever they are.

    .. math:: \log p(x) \ge E_{q(z|c)} [\log p(x \mid z) + \log p(z) - \log q(z \mid c)],
        \quad c = \mathrm{encoder}(x)

    All terms are those of a draw: exact densities of flows, and no closed form of a divergence.

    Args:
        encoder: from rows (N, D) to contexts (N, C).
        posterior: q, of codes (J,) with contexts of C numbers.
        prior: p, of codes (J,).
        decoder: from codes to rows.

    Raises:
        ValueError: where the shapes of posterior and prior differ.

    Example:
        >>> model = flow_vae(3, latent=2, hidden=[8], posterior="iaf", seed=0)
        >>> reconstruction, divergence = model.terms(torch.zeros(5, 3), n_draws=4)
        >>> reconstruction.shape, divergence.shape
        (torch.Size([4, 5]), torch.Size([4, 5]))
    """

    def __init__(
        self, encoder: nn.Module, posterior: Distribution, prior: Distribution, decoder: Decoder
    ) -> None:
        super().__init__()
        if posterior.event_shape != prior.event_shape:
            raise ValueError(
                f"posterior and prior must be of one shape, got {posterior.event_shape} and "
                f"{prior.event_shape}"
            )
        self.encoder, self.posterior = encoder, posterior
        self.prior, self.decoder = prior, decoder

    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, J) of rows (N, D): where the flow takes its base's mean, without momenta."""
        context = self.encoder(x)
        q = self.posterior
        if isinstance(q, Flow) and isinstance(q.base, DiagonalNormal):
            return q.transform.decode(q.base.mean(context), context)[0]
        if isinstance(q, HamiltonianFlow):
            return q.centre(context)
        if isinstance(q, DiagonalNormal | GaussianCopula):
            return q.mean(context)
        raise TypeError(f"{type(q).__name__} has no centre")

    def decode(self, z: Tensor) -> Tensor:
        """Means of rows (N, D) with those codes (N, J)."""
        return self.decoder(z)

    def draw(
        self, x: Tensor, n_draws: int = 1, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Codes of rows (N, D) from q, (n_draws, N, J), and log q of them in nats, (n_draws, N)."""
        return self.posterior.rsample_and_log_prob(n_draws, self.encoder(x), generator)

    def terms(
        self, x: Tensor, n_draws: int = 1, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Log p(x|z) at draws z of q(z|x), and log q(z|x) - log p(z), in nats.

        Args:
            x: (N, D).
            n_draws: M.
            generator: source of the draws.

        Returns:
            (M, N) each; their gap is the log of the importance weight p(x, z) / q(z|x).
        """
        z, log_q = self.draw(x, n_draws, generator)
        rows = x.expand(n_draws, *x.shape).reshape(-1, x.shape[-1])
        reconstruction = self.decoder.log_prob(z.flatten(0, 1), rows)
        return reconstruction.view_as(log_q), log_q - self.prior.log_prob(z)

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Rows (n, D) of codes from the prior, without gradients."""
        with torch.no_grad():
            return self.decoder.sample(self.prior.sample(n, generator=generator), generator)


@recipe
def flow_vae(
    features: int,
    *,
    latent: int = 10,
    posterior: Spec = "iaf",
    prior: Spec = "normal",
    likelihood: str = "gaussian",
    hidden: Sequence[int] = (500, 500),
    context: int = 64,
    activation: str = "relu",
    seed: int | None = None,
) -> FlowVariationalAutoencoder:
    r"""Variational autoencoder by three choices: posterior, prior, likelihood.

    .. math:: \log p(x) \ge E_{q(z|x)} [\log p(x \mid z) + \log p(z) - \log q(z \mid x)]

    To be trained by `anabranch.objectives.ImportanceBound`.

    Source: Rezende, Mohamed (2015), "Variational inference with normalizing flows",
    arXiv:1505.05770; Kingma et al. (2016), "Improving variational inference with inverse
    autoregressive flow", arXiv:1606.04934; Tomczak, Welling (2018), "VAE with a VampPrior",
    arXiv:1705.07120.

    Args:
        features: D.
        latent: J, size of a code.
        posterior: "diagonal", "copula", "planar", "radial", "iaf", "nice", "volume-preserving",
            "hamiltonian", "langevin", or {"name": ..., keyword: value}; see `latent_posterior` and
            `hamiltonian_posterior`.
        prior: "normal"; "vampprior", posteriors of learned rows, {"n_components": 500} of them; or
            the recipe of a density, such as "maf" or "realnvp".
        likelihood: "gaussian" with one free standard deviation, or "bernoulli" for shares.
        hidden: hidden sizes of the encoder; the decoder has them in reverse.
        context: size of what the posterior is told of a row.
        activation: of the hidden layers.
        seed: of the initial weights.

    Raises:
        ValueError: for another likelihood, posterior or prior.
        TypeError: for a keyword that a posterior or prior does not have.

    Example:
        >>> model = flow_vae(4, latent=2, hidden=[8], posterior="copula", prior="maf", seed=0)
        >>> model.encode(torch.zeros(3, 4)).shape, model.sample(2).shape
        (torch.Size([3, 2]), torch.Size([2, 4]))
    """
    source = make_generator(seed)
    how = NetworkOptions(activation=activation, generator=source)
    encoder = MLP(features, context, tuple(hidden), **how)
    decoder = Decoder(features, latent, tuple(hidden)[::-1], likelihood, scaled=True, **how)
    if split_spec("posterior", posterior)[0] in ("hamiltonian", "langevin"):
        p = _make_prior(prior, latent, source)
        q = hamiltonian_posterior(posterior, context, decoder, p, source)
        return FlowVariationalAutoencoder(WithRows(encoder), q, p, decoder)
    q = latent_posterior(posterior, latent, context, source)
    if split_spec("prior", prior)[0] == "vampprior":
        p = _vamp_prior(prior, q, encoder, decoder, source)
    else:
        p = _make_prior(prior, latent, source)
    return FlowVariationalAutoencoder(encoder, q, p, decoder)


def _make_prior(spec: Spec, latent: int, source: Generator | None) -> Distribution:
    if spec == "normal":
        return Normal(latent)
    if split_spec("prior", spec)[0] == "vampprior":
        raise ValueError("prior 'vampprior' needs a posterior whose density is known")
    return build_inner_density(spec, latent, (), source, role="prior")


def _vamp_prior(
    spec: Spec, q: Distribution, encoder: MLP, decoder: Decoder, source: Generator | None
) -> VampPrior:
    _, settings = parse_spec("prior", spec, {"vampprior": _n_components})
    rows = torch.randn(_n_components(**settings), decoder.features, generator=source)
    shares = decoder.likelihood == "bernoulli"
    return VampPrior(q, encoder, rows.sigmoid() if shares else rows, shares=shares)


def _n_components(*, n_components: int = 500) -> int:
    return n_components
