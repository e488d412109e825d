"""The evidence lower bound of models with a reparameterised latent."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.functional.draws import normal_draws


class VariationalModel(Protocol):
    """A model that bounds log p(x) by draws of a latent."""

    noise_size: int

    def terms(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Log p(x|z) at draws, and a divergence of q(z|x) from p(z), (N,) each, in nats.

        Args:
            x: (N, D).
            noise: standard normal draws (N, noise_size), which become draws of z.
        """
        ...


class VariationalBound(Objective):
    r"""Minus the evidence lower bound, mean over rows, in nats.

    .. math:: -E_{q(z|x)} \log p(x \mid z) + \mathrm{KL}(q(z \mid x) \,\|\, p(z))

    The expectation is that of one reparameterised draw. In evaluation mode the draws are the same
    at every call: scores that stop a run early are then those of the state, not of the draw.

    Source: Kingma, Welling (2013), "Auto-encoding variational Bayes", arXiv:1312.6114.

    Args:
        model: has ``terms`` and ``noise_size``.

    Batches are dicts with ``x`` (N, D).

    Example:
        >>> from anabranch.models import vae
        >>> objective = VariationalBound(vae(3, latent=2, hidden=[8], seed=0)).eval()
        >>> sorted(objective({"x": torch.zeros(5, 3)}).terms)
        ['divergence', 'reconstruction']
    """

    stochastic = True

    def __init__(self, model: VariationalModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """Minus the bound of a batch."""
        x = batch["x"]
        noise = latent_noise(self, x, self.model.noise_size, generator)
        return bound_loss(*self.model.terms(x, noise))


def bound_loss(reconstruction: Tensor, divergence: Tensor) -> Loss:
    """Minus the mean of a bound, from its two terms (N,).

    Example:
        >>> bound_loss(torch.tensor([-2.0]), torch.tensor([0.5])).total
        tensor(2.5000)
    """
    terms = {"reconstruction": -reconstruction.mean(), "divergence": divergence.mean()}
    return Loss(terms["reconstruction"] + terms["divergence"], terms)


def latent_noise(
    objective: Objective, x: Tensor, size: int, generator: torch.Generator | None
) -> Tensor:
    """Standard normal noise (N, size) for rows (N, D); outside training the same at every call."""
    source = generator if objective.training else torch.Generator(x.device).manual_seed(0)
    return normal_draws((len(x), size), x, source)
