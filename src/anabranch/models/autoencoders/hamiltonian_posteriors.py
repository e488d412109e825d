"""Posteriors that follow the gradient of log p(x, z): Hamiltonian and Langevin flows."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from anabranch.distributions import DiagonalNormal, Distribution, HamiltonianFlow
from anabranch.models.autoencoders.dense_coders import Decoder
from anabranch.models.specs import Spec, parse_spec


@dataclass(frozen=True)
class JointDensity:
    r"""Log p(x, z) of codes, given a context that ends with the row.

    It is no module: decoder and prior belong to the autoencoder, not to the posterior that asks
    for their gradient.

    Attributes:
        decoder: p(x|z).
        prior: p(z).

    Example:
        >>> from anabranch.distributions import Normal
        >>> joint = JointDensity(Decoder(3, 2, (4,), "gaussian"), Normal(2))
        >>> joint(torch.zeros(5, 2), torch.zeros(5, 7)).shape
        torch.Size([5])
    """

    decoder: Decoder
    prior: Distribution

    def __call__(self, z: Tensor, context: Tensor | None) -> Tensor:
        """Log p(x, z) of codes (N, J) and contexts (N, C + D), (N,)."""
        if context is None:
            raise ValueError("context must hold the rows, got none")
        rows = context[..., -self.decoder.features :]
        return self.decoder.log_prob(z, rows) + self.prior.log_prob(z)


class WithRows(nn.Module):
    """An encoder whose context holds the row as well, behind what it makes of it.

    Args:
        encoder: from rows (N, D) to (N, C).

    Example:
        >>> WithRows(nn.Linear(3, 2))(torch.zeros(5, 3)).shape
        torch.Size([5, 5])
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        """Contexts (N, C + D) of rows (N, D)."""
        return torch.cat((self.encoder(x), x), -1)


def hamiltonian_posterior(
    spec: Spec,
    context_features: int,
    decoder: Decoder,
    prior: Distribution,
    generator: torch.Generator | None,
) -> HamiltonianFlow:
    """A diagonal normal whose draws move by the gradient of log p(x, z).

    Args:
        spec: "hamiltonian", with {"n_steps": 5, "step": 0.2, "hidden": [64]} of the dynamics and
            the network of the momenta's posterior, or "langevin", with {"n_rounds": 5, "step":
            0.2}.
        context_features: C, size of what the encoder makes of a row.
        decoder: p(x|z).
        prior: p(z).
        generator: source of the initial weights.

    Raises:
        ValueError: for another name.
        TypeError: for a keyword that it does not have.

    Example:
        >>> from anabranch.distributions import Normal
        >>> decoder = Decoder(3, 2, (4,), "gaussian")
        >>> hamiltonian_posterior("langevin", 5, decoder, Normal(2), None).n_rounds
        5
    """
    makers = {"hamiltonian": _hamiltonian, "langevin": _langevin}
    name, settings = parse_spec("posterior", spec, makers)
    (latent,) = prior.event_shape
    base = DiagonalNormal(latent, context_features=context_features, hidden=(), generator=generator)
    return HamiltonianFlow(
        base,
        JointDensity(decoder, prior),
        context_features=context_features + decoder.features,
        generator=generator,
        **makers[name](**settings),
    )


def _hamiltonian(
    *, n_steps: int = 5, step: float = 0.2, hidden: tuple[int, ...] = (64,)
) -> dict[str, Any]:
    return {"n_steps": n_steps, "step": step, "hidden": hidden}


def _langevin(*, n_rounds: int = 5, step: float = 0.2) -> dict[str, Any]:
    return {"n_rounds": n_rounds, "n_steps": 1, "step": step, "learn_reverse": False}
