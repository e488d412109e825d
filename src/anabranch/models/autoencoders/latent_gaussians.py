"""K Gaussians from which a generator draws."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class LatentGaussians(nn.Module):
    r"""K Gaussians of equal weight, :math:`z = m_k + A_k \epsilon`, to draw from.

    Static ones stay where they are, with :math:`A_k = \sigma I`. Dynamic ones learn :math:`m_k` and
    :math:`A_k`, which is held at :math:`\lVert A_k \rVert_F = \sigma \sqrt J`: a critic would let a
    Gaussian shrink to a point, and all its draws be one.

    Args:
        n_components: K.
        latent: J.
        means: (K, J); None for uniform ones within ``spread``.
        spread: c, of means in [-c, c].
        scale: σ.
        dynamic: whether they are learned.
        generator: source of the means.

    Raises:
        ValueError: for K, spread or scale out of range, or means of another shape.

    Example:
        >>> gaussians = LatentGaussians(3, 2, scale=0.1)
        >>> gaussians(torch.tensor([0, 2, 2, 1])).shape, gaussians.factors().shape
        (torch.Size([4, 2]), torch.Size([3, 2, 2]))
    """

    loc: Tensor

    def __init__(
        self,
        n_components: int,
        latent: int,
        *,
        means: Sequence[Sequence[float]] | None = None,
        spread: float = 1.0,
        scale: float = 0.15,
        dynamic: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if n_components < 1 or not spread >= 0 or not scale > 0:
            raise ValueError(
                "n_components and scale must be positive and spread not negative, got "
                f"{n_components}, {scale} and {spread}"
            )
        self.n_components, self.latent, self.scale = n_components, latent, scale
        loc = _means(means, n_components, latent, spread, generator)
        if dynamic:
            self.loc = nn.Parameter(loc)
        else:
            self.register_buffer("loc", loc)
        free = torch.eye(latent).repeat(n_components, 1, 1)
        self.shape = nn.Parameter(free) if dynamic else None

    def factors(self) -> Tensor:
        """A_k, (K, J, J)."""
        if self.shape is None:
            eye = torch.eye(self.latent, dtype=self.loc.dtype, device=self.loc.device)
            return self.scale * eye.expand(self.n_components, -1, -1)
        length = torch.linalg.matrix_norm(self.shape, keepdim=True)
        return self.scale * self.latent**0.5 * self.shape / length

    def forward(self, components: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draws (N, J) of the Gaussians with those numbers (N,)."""
        device = "cpu" if generator is None else generator.device
        size = len(components), self.latent
        noise = torch.randn(size, generator=generator, dtype=self.loc.dtype, device=device)
        noise = noise.to(self.loc.device)
        if self.shape is None:
            return self.loc[components] + self.scale * noise
        return self.loc[components] + (self.factors()[components] @ noise[..., None])[..., 0]


def _means(
    means: Sequence[Sequence[float]] | None,
    n_components: int,
    latent: int,
    spread: float,
    generator: torch.Generator | None,
) -> Tensor:
    if means is None:
        return spread * (2 * torch.rand(n_components, latent, generator=generator) - 1)
    loc = torch.tensor(means, dtype=torch.get_default_dtype())
    if loc.shape != (n_components, latent):
        raise ValueError(
            f"means must have the shape {(n_components, latent)}, got {tuple(loc.shape)}"
        )
    return loc
