"""A mixture in a latent space, with networks from there to the data and back."""

from abc import ABC

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from anabranch.distributions import Distribution
from anabranch.functional import affine_normal_log_prob
from anabranch.models.autoencoders.likelihoods import make_likelihood
from anabranch.models.autoencoders.mixture_prior import MixturePrior
from anabranch.networks import MLP, ConvDecoder, ConvEncoder, LabelledMLP


class LatentMixture(nn.Module, ABC):
    r"""The densities of a mixture with latent variables y and z; a subclass trains them.

    .. math:: p(x, y, z) = \tfrac1K\, p(z \mid y)\, p(x \mid z), \qquad
        q(y, z \mid x) = q(y \mid x)\, q(z \mid y, x)

    Args:
        classifier: a network from (N, D) to (N, K) logits of q(y|x).
        encoder: gives mean and scale of q(z|y,x), (2 L, ...); without labels it is q(z|x).
        decoder: from z to the parameters of p(x|z): D logits, or D means and D scales.
        n_components: K.
        latent: L.
        likelihood: "gaussian" or "bernoulli".
        prior_flows: K flows over z, stacked; None for Gaussians. See `MixturePrior`.
        floor: least standard deviation of p(x|z) and q(z|y,x); a buffer.
        half_precision: evaluate the networks in bfloat16.
        generator: source of the initial means of the prior.

    Raises:
        ValueError: for an unknown likelihood, or flows that do not fit.
    """

    floor: Tensor

    def __init__(
        self,
        classifier: nn.Module,
        encoder: LabelledMLP | ConvEncoder,
        decoder: MLP | ConvDecoder,
        *,
        n_components: int,
        latent: int,
        likelihood: str,
        prior_flows: Distribution | None,
        floor: float,
        half_precision: bool,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        make_likelihood(likelihood)
        self.classifier, self.encoder, self.decoder = classifier, encoder, decoder
        self.n_components, self.latent, self.likelihood = n_components, latent, likelihood
        self.half_precision = half_precision
        self.prior = MixturePrior(latent, n_components, prior_flows, generator=generator)
        self.register_buffer("floor", torch.tensor(floor))

    @property
    def prior_mean(self) -> nn.Parameter:
        """Means of p(z|y), (L, K), before its flows if there are any."""
        return self.prior.mean

    @property
    def prior_scale(self) -> nn.Parameter:
        """What softplus + 1 makes its standard deviations of, (L, K)."""
        return self.prior.scale

    def log_q(self, x: Tensor) -> Tensor:
        """Log q(y|x) of rows, (K, N)."""
        return torch.log_softmax(self._logits_of(x), dim=0)

    def codes(self, x: Tensor) -> Tensor:
        """Latent means of rows, E_q[z|x], (N, L)."""
        loc, _ = self._encoded(x.mT)
        return (loc * self.log_q(x).exp()).sum(1).mT if loc.shape[1] > 1 else loc.squeeze(1).mT

    def decode(self, z: Tensor) -> Tensor:
        """The mean of p(x|z) for latent rows, (N, D)."""
        return make_likelihood(self.likelihood).mean(self.decoder(z).mT).mT

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
        like = self.prior_mean
        labels = torch.randint(self.n_components, (n,), generator=generator, device=like.device)
        if component is not None:
            labels.fill_(component)
        parameters = self.decoder.columns(self.prior.sample(labels, generator))
        draws = make_likelihood(self.likelihood).sample(parameters, self.floor, generator)
        return draws.mT, labels

    def _scaled(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation from a network's output."""
        loc, raw = parameters.chunk(2)
        return loc, softplus(raw) + self.floor

    def _log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        r"""Log p(x|z) of columns x (D, N) and z (L, \*lead, N)."""
        lead = z.shape[1:]
        if self.likelihood == "gaussian" and isinstance(self.decoder, MLP):
            with self._networks():
                hidden = self.decoder.hidden_columns(z.flatten(1)).unflatten(1, lead)
            last = self.decoder.last
            return affine_normal_log_prob(x, hidden, last.weight, last.bias, self.floor)
        with self._networks():
            parameters = self.decoder.columns(z.flatten(1))
        parameters = parameters.to(x.dtype).unflatten(1, lead)
        return make_likelihood(self.likelihood).log_prob(x, parameters, self.floor)

    def _encoded(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of q(z|y,x)."""
        with self._networks():
            parameters = self.encoder.columns(x, y)
        return self._scaled(parameters.to(x.dtype))

    def _logits_of(self, x: Tensor) -> Tensor:
        with self._networks():
            return self.classifier(x).mT.to(x.dtype)

    def _networks(self) -> torch.autocast:
        """Matrix products of the networks in bfloat16, where that is asked for."""
        device = self.prior_mean.device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.half_precision)
