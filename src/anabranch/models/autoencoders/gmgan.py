"""GM-GAN: a generative adversarial network over a mixture of Gaussians."""

from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn

from anabranch.models.autoencoders.dense_coders import NetworkOptions
from anabranch.models.autoencoders.latent_gaussians import LatentGaussians
from anabranch.models.autoencoders.likelihoods import LIKELIHOODS
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.networks import MLP


class MixtureGAN(nn.Module):
    r"""K Gaussians, a generator, a critic, and a classifier that tells which Gaussian was drawn.

    .. math:: x' = g(m_k + A_k \epsilon), \qquad k \sim 1/K, \quad \epsilon \sim \mathcal N(0, I)

    ``gaussians`` are the K Gaussians over codes of J features; further arguments and errors are
    those of `anabranch.models.gmgan`.

    Attributes:
        code_size: hidden[-1].

    Example:
        >>> model = MixtureGAN(3, LatentGaussians(4, 2), (8,))
        >>> model.sample(5, 1).shape, model.responsibilities(torch.zeros(5, 3)).shape
        (torch.Size([5, 3]), torch.Size([4, 5]))
    """

    def __init__(
        self,
        features: int,
        gaussians: LatentGaussians,
        hidden: Sequence[int],
        *,
        likelihood: str = "gaussian",
        **how: Unpack[NetworkOptions],
    ) -> None:
        super().__init__()
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood must be one of {LIKELIHOODS}, got {likelihood!r}")
        if not hidden:
            raise ValueError("hidden must name at least one layer: the classifier's last is a code")
        self.n_components, self.code_size = gaussians.n_components, hidden[-1]
        self.likelihood = likelihood
        self.gaussians = gaussians

        def network(inputs: int, outputs: int, sizes: Sequence[int]) -> MLP:
            return MLP(inputs, outputs, sizes, **how)

        self.decoder = network(gaussians.latent, features, hidden[::-1])
        self.critic = network(features, 1, hidden)
        self.classifier = network(features, gaussians.n_components, hidden)

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


@recipe
def gmgan(
    features: int,
    n_components: int,
    *,
    latent: int = 10,
    hidden: Sequence[int] = (256, 256),
    means: Sequence[Sequence[float]] | None = None,
    spread: float = 1.0,
    scale: float = 0.15,
    dynamic: bool = False,
    likelihood: str = "gaussian",
    activation: str = "relu",
    seed: int | None = None,
) -> MixtureGAN:
    r"""A generator that makes each cluster from a Gaussian of its own, and a classifier of them.

    .. math:: x' = g(m_k + A_k \epsilon), \qquad k \sim 1/K, \quad \epsilon \sim \mathcal N(0, I)

    As the generator is continuous and the Gaussians lie apart, each makes one kind of rows. A
    classifier learns from draws which is which, and is then asked about rows: the clusters. To be
    trained by `anabranch.procedures.fit_gmgan`. With ``n_components=1, spread=0, scale=1``
    it is the common network, over a standard normal.

    Source: Ben-Yosef, Weinshall (2018), "Gaussian mixture generative adversarial networks for
    diverse datasets, and the unsupervised clustering of images", arXiv:1808.10356.

    Args:
        features: D.
        n_components: K.
        latent: J.
        hidden: hidden sizes of critic and classifier; the generator has them in reverse.
        means: (K, J), the :math:`m_k`; None for uniform ones within ``spread``.
        spread: c, of means in [-c, c].
        scale: σ; static Gaussians have :math:`A_k = \sigma I`.
        dynamic: whether :math:`m_k` and :math:`A_k` are learned; then
            :math:`\lVert A_k \rVert_F = \sigma \sqrt J`, so that no Gaussian can shrink to a point.
        likelihood: "gaussian" for real rows, "bernoulli" for rows in [0, 1].
        activation: of the hidden layers.
        seed: of the initial weights and the means.

    Raises:
        ValueError: for K, spread or scale out of range, means of another shape, no hidden layer, or
            another likelihood.

    Example:
        >>> import torch
        >>> model = gmgan(4, 3, latent=2, hidden=[8], seed=0)
        >>> model.sample(5, component=2).shape, model.encode(torch.zeros(5, 4)).shape
        (torch.Size([5, 4]), torch.Size([5, 8]))
    """
    generator = make_generator(seed)
    gaussians = LatentGaussians(
        n_components,
        latent,
        means=means,
        spread=spread,
        scale=scale,
        dynamic=dynamic,
        generator=generator,
    )
    return MixtureGAN(
        features,
        gaussians,
        tuple(hidden),
        likelihood=likelihood,
        activation=activation,
        generator=generator,
    )
