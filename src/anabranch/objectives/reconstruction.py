"""Errors of rows that are told again from their codes."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective


class Coder(Protocol):
    """What gives rows codes, and tells rows again from them."""

    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, J) of rows (N, D)."""
        ...

    def error(self, z: Tensor, x: Tensor) -> Tensor:
        """How far rows (N, D) are from what codes (N, J) tell, (N,)."""
        ...


class Reconstruction(Objective):
    r"""The reconstruction error of an autoencoder, mean over rows and features.

    .. math:: \mathcal L = E\, \tfrac1D \lVert x - g(f(\tilde x)) \rVert^2

    or another error of the model in place of the square. Features of :math:`\tilde x` are set to
    zero with a probability in training, and are those of x otherwise.

    Source: Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural
    networks"; the corruption: Vincent et al. (2010), "Stacked denoising autoencoders".

    Args:
        model: has ``encode`` and ``error``.
        corruption: probability that a feature is hidden from the encoder in training.

    Batches are dicts with ``x`` (N, D).

    Raises:
        ValueError: for a corruption outside [0, 1).

    Example:
        >>> from anabranch.models import autoencoder
        >>> objective = Reconstruction(autoencoder(3, latent=2, hidden=[8], seed=0))
        >>> sorted(objective({"x": torch.zeros(5, 3)}).terms)
        ['reconstruction']
    """

    def __init__(self, model: Coder, *, corruption: float = 0.0) -> None:
        super().__init__()
        if not 0 <= corruption < 1:
            raise ValueError(f"corruption must be in [0, 1), got {corruption}")
        self.model, self.corruption = model, corruption
        self.stochastic = corruption > 0

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The error of a batch."""
        x = batch["x"]
        seen = self.corrupted(x, generator) if self.training and self.corruption else x
        error = self.model.error(self.model.encode(seen), x).mean()
        return Loss(error, {"reconstruction": error})

    def corrupted(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Rows (N, D) with some of their features at zero."""
        kept = torch.rand(x.shape, generator=generator, device=x.device) >= self.corruption
        return x * kept.to(x)
