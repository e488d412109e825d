"""Encoders and decoders of fully connected layers, which all systems of this family share."""

import math
from collections.abc import Sequence
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from anabranch.functional import bounded
from anabranch.functional.draws import normal_draws
from anabranch.models.autoencoders.likelihoods import LIKELIHOODS
from anabranch.networks import MLP

# Limit of log-scales, so that no standard deviation can be driven to zero.
BOUND = 6.0


class NetworkOptions(TypedDict, total=False):
    """What all networks of a model are told: activation, and source of the initial weights."""

    activation: str
    generator: torch.Generator | None


class Decoder(nn.Module):
    r"""From codes to rows: p(x|z) with independent features.

    .. math:: \log p(x \mid z) = \sum_d \log \mathcal N(x_d; m_d(z), \sigma^2)
        \quad\text{or}\quad \sum_d [x_d \log m_d(z) + (1 - x_d) \log(1 - m_d(z))]

    Args:
        features: D.
        latent: J, size of a code.
        hidden: hidden sizes from the code to the row.
        likelihood: "gaussian" for real features, "bernoulli" for shares in [0, 1].
        scaled: whether a Gaussian has a free standard deviation, one for all features; else it
            is 1.
        how: see `NetworkOptions`.

    Raises:
        ValueError: for another likelihood.

    Example:
        >>> decoder = Decoder(3, 2, (8,), "bernoulli")
        >>> z, x = torch.zeros(5, 2), torch.ones(5, 3)
        >>> decoder(z).shape, decoder.log_prob(z, x).shape
        (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(
        self,
        features: int,
        latent: int,
        hidden: Sequence[int],
        likelihood: str,
        *,
        scaled: bool = False,
        **how: Unpack[NetworkOptions],
    ) -> None:
        super().__init__()
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood must be one of {LIKELIHOODS}, got {likelihood!r}")
        self.features, self.likelihood = features, likelihood
        self.network = MLP(latent, features, hidden, **how)
        free = scaled and likelihood == "gaussian"
        self.log_scale = nn.Parameter(torch.zeros(())) if free else None

    def forward(self, z: Tensor) -> Tensor:
        """Means of rows, (N, D), given codes (N, J)."""
        output = self.network(z)
        return output if self.likelihood == "gaussian" else output.sigmoid()

    def error(self, z: Tensor, x: Tensor) -> Tensor:
        """Mean over the features of the squared error, or of the cross-entropy in nats, (N,)."""
        output = self.network(z)
        if self.likelihood == "gaussian":
            return (x - output).square().mean(-1)
        return binary_cross_entropy_with_logits(output, x, reduction="none").mean(-1)

    def log_prob(self, z: Tensor, x: Tensor) -> Tensor:
        """Log p(x|z) in nats, (N,)."""
        error = self.error(z, x)
        if self.likelihood == "bernoulli":
            return -self.features * error
        log_scale = bounded(self.free_log_scale(error), BOUND)
        log_norm = log_scale + 0.5 * math.log(2 * math.pi)
        return -self.features * (0.5 * error * torch.exp(-2 * log_scale) + log_norm)

    @torch.no_grad()
    def sample(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw rows (N, D) from p(x|z)."""
        means = self(z)
        if self.likelihood == "bernoulli":
            return torch.bernoulli(means, generator=generator)
        scale = bounded(self.free_log_scale(means), BOUND).exp()
        return means + scale * normal_draws(tuple(means.shape), means, generator)

    def free_log_scale(self, like: Tensor) -> Tensor:
        """The unbounded log-scale, zero where it is not free."""
        return like.new_zeros(()) if self.log_scale is None else self.log_scale

    @torch.no_grad()
    def set_linear(self, loadings: Tensor, offset: Tensor, std: float) -> None:
        r"""Become :math:`x = W z + b + \sigma \epsilon`, for a decoder without hidden layers.

        Args:
            loadings: W, (D, J).
            offset: b, (D,).
            std: :math:`\sigma`.

        Raises:
            ValueError: for a decoder with hidden layers, or without a free standard deviation.
        """
        if len(self.network.hidden) or self.log_scale is None:
            raise ValueError("only a scaled Gaussian decoder without hidden layers can be linear")
        self.network.last.weight.copy_(loadings)
        self.network.last.bias.copy_(offset.unsqueeze(-1))
        self.log_scale.copy_(unbounded(torch.tensor(math.log(std))))

    @torch.no_grad()
    def adopt(self, decoder: "Decoder", error: float) -> None:
        """Take over the network of a decoder with that mean squared error."""
        self.network.load_state_dict(decoder.network.state_dict())
        if self.log_scale is not None:
            self.log_scale.copy_(unbounded(torch.tensor(0.5 * math.log(max(error, 1e-8)))))


class GaussianEncoder(nn.Module):
    r"""From rows to codes: :math:`q(z|x) = \mathcal N(\mu(x), \operatorname{diag} \sigma^2(x))`.

    The standard deviations are kept in logs, within :math:`e^{\pm 6}`.

    Args:
        features: D.
        latent: J.
        hidden: hidden sizes from the row to the code.
        how: see `NetworkOptions`.

    Example:
        >>> loc, log_scale = GaussianEncoder(3, 2, (8,))(torch.zeros(5, 3))
        >>> loc.shape, log_scale.shape
        (torch.Size([5, 2]), torch.Size([5, 2]))
    """

    def __init__(
        self, features: int, latent: int, hidden: Sequence[int], **how: Unpack[NetworkOptions]
    ) -> None:
        super().__init__()
        self.network = MLP(features, 2 * latent, hidden, **how)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-scales, (N, J) each."""
        loc, log_scale = self.network(x).chunk(2, -1)
        return loc, bounded(log_scale, BOUND)

    @torch.no_grad()
    def adopt(self, network: MLP, log_scale: Tensor) -> None:
        """Take over a network from rows to codes, with the same log-scales (J,) for all rows."""
        self.network.hidden.load_state_dict(network.hidden.state_dict())
        n = len(log_scale)
        own, other = self.network.last, network.last
        own.weight[:n], own.bias[:n] = other.weight, other.bias
        own.weight[n:] = 0.0
        own.bias[n:] = unbounded(log_scale)[:, None]


def unbounded(log_scale: Tensor) -> Tensor:
    """What `bounded` maps to a log-scale, which is first brought within 0.95 of the limit.

    Example:
        >>> round(float(bounded(unbounded(torch.tensor(-2.0)), BOUND)), 4)
        -2.0
    """
    return BOUND * torch.atanh((log_scale / BOUND).clamp(-0.95, 0.95))
