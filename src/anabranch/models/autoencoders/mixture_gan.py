"""A generative adversarial network over a mixture of Gaussians, and its classifier."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from anabranch.models.autoencoders.coder import LIKELIHOODS
from anabranch.models.autoencoders.latent_gaussians import LatentGaussians
from anabranch.networks import MLP
from anabranch.objectives import Loss
from anabranch.objectives.adversarial import wasserstein_critic


class MixtureGAN(nn.Module):
    r"""K Gaussians, a generator, a critic, and a classifier that tells which Gaussian was drawn.

    .. math:: x' = g(m_k + A_k \epsilon), \qquad k \sim 1/K, \quad \epsilon \sim \mathcal N(0, I)

    Args:
        features: D.
        n_components: K.
        latent: J.
        hidden: hidden sizes of critic and classifier; the generator has them in reverse.
        likelihood: "gaussian" for real rows, "bernoulli" for rows in [0, 1].
        activation: of the hidden layers.
        generator: source of the initial weights, the means, and the draws of ``forward``.
        gaussians: keywords of `LatentGaussians`.

    Attributes:
        code_size: hidden[-1].

    Batches are dicts with ``x`` (N, D).

    Raises:
        ValueError: for another likelihood, no hidden layer, or Gaussians that cannot be.

    Example:
        >>> model = MixtureGAN(3, 4, 2, (8,))
        >>> model.sample(5, 1).shape, model.responsibilities(torch.zeros(5, 3)).shape
        (torch.Size([5, 3]), torch.Size([4, 5]))
    """

    def __init__(
        self,
        features: int,
        n_components: int,
        latent: int,
        hidden: Sequence[int],
        *,
        likelihood: str = "gaussian",
        activation: str = "relu",
        generator: torch.Generator | None = None,
        **gaussians: Any,
    ) -> None:
        super().__init__()
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood must be one of {LIKELIHOODS}, got {likelihood!r}")
        if not hidden:
            raise ValueError("hidden must name at least one layer: the classifier's last is a code")
        self.n_components, self.code_size = n_components, hidden[-1]
        self.likelihood = likelihood
        self.generator = generator
        self.gaussians = LatentGaussians(n_components, latent, generator=generator, **gaussians)
        shared: dict[str, Any] = {"activation": activation, "generator": generator}
        self.decoder = MLP(latent, features, hidden[::-1], **shared)
        self.critic = MLP(features, 1, hidden, **shared)
        self.classifier = MLP(features, n_components, hidden, **shared)

    def encode(self, x: Tensor) -> Tensor:
        """The last hidden layer of the classifier, (N, hidden[-1]), at rows (N, D)."""
        columns = x.mT
        for layer in self.classifier.hidden:
            columns = self.classifier.activation(layer.columns(columns))  # pyright: ignore[reportCallIssue]
        return columns.mT

    def responsibilities(self, x: Tensor) -> Tensor:
        """Log q(k|x) of the classifier, (K, N)."""
        return torch.log_softmax(self.classifier(x), -1).mT

    def decode(self, z: Tensor) -> Tensor:
        """Rows (N, D) of latent places (N, J)."""
        output = self.decoder(z)
        return output if self.likelihood == "gaussian" else output.sigmoid()

    def draw(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Rows (n, D), with gradients, and their components (n,): all in turn, equally often."""
        components = torch.arange(n, device=self.gaussians.loc.device) % self.n_components
        return self.decode(self.gaussians(components, generator)), components

    @torch.no_grad()
    def sample(
        self, n: int, component: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Rows (n, D), of one component, or of all at random.

        Raises:
            ValueError: for a component that there is not.
        """
        if component is None:
            device = "cpu" if generator is None else generator.device
            numbers = torch.randint(self.n_components, (n,), generator=generator, device=device)
        elif 0 <= component < self.n_components:
            numbers = torch.full((n,), component)
        else:
            raise ValueError(f"component must be in 0..{self.n_components - 1}, got {component}")
        return self.decode(self.gaussians(numbers.to(self.gaussians.loc.device), generator))

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        """How well the classifier tells the components of as many draws, in nats.

        The term ``gap`` is by how much the critic values the rows of the batch above them.
        """
        x = batch["x"]
        drawn, components = self.draw(len(x), self._source())
        error = cross_entropy(self.classifier(drawn), components)
        gap = -wasserstein_critic(self.critic(x), self.critic(drawn))
        return Loss(error, {"classification": error, "gap": gap})

    def _source(self) -> torch.Generator | None:
        # outside training the same in each call, so that scores are those of the state
        return self.generator if self.training else torch.Generator().manual_seed(0)
