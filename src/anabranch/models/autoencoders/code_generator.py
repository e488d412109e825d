"""Autoencoders that generate: a density of the codes, set by rows."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Generator, Tensor, nn

from anabranch.distributions import Distribution
from anabranch.functional.shapes import Shape
from anabranch.models.autoencoders.autoencoder import autoencoder
from anabranch.models.densities.vine import vine
from anabranch.models.registry import recipe
from anabranch.models.specs import Spec


class Coder(Protocol):
    """What gives rows codes, and tells rows again from them."""

    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, J) of rows."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Rows of codes (N, J)."""
        ...

    def error(self, z: Tensor, x: Tensor) -> Tensor:
        """How far rows are from what codes tell, (N,)."""
        ...


class CodeGenerator(nn.Module):
    r"""Any autoencoder with a density of its codes: new rows are decoded draws of that.

    .. math:: z \sim p, \qquad x = g(z)

    Source: Tagasovska, Ackerer, Vatter (2019), "Copulas as high-dimensional generative models: vine
    copula autoencoders", arXiv:1906.05423.

    Args:
        coder: an autoencoder with ``encode``, ``decode`` and ``error``, a module.
        codes: a density of its codes.

    Raises:
        TypeError: for a coder that is no module.

    Example:
        >>> from anabranch.distributions import Normal
        >>> model = CodeGenerator(autoencoder(4, latent=2, hidden=[8], seed=0), Normal(2))
        >>> model.sample(3).shape
        torch.Size([3, 4])
    """

    def __init__(self, coder: Coder, codes: Distribution) -> None:
        super().__init__()
        if not isinstance(coder, nn.Module):
            raise TypeError(f"coder must be a module, got {type(coder).__name__}")
        self.coder, self.codes = coder, codes

    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, J) of rows."""
        return self.coder.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """Rows of codes (N, J)."""
        return self.coder.decode(z)

    def error(self, z: Tensor, x: Tensor) -> Tensor:
        """Error (N,) of rows told from codes (N, J)."""
        return self.coder.error(z, x)

    @torch.no_grad()
    def sample(self, sample_shape: int | Shape = (), generator: Generator | None = None) -> Tensor:
        """New rows: decoded draws of codes."""
        return self.coder.decode(self.codes.sample(sample_shape, generator=generator))


@recipe
def vine_autoencoder(
    features: int,
    *,
    latent: int = 8,
    hidden: Sequence[int] = (500, 500),
    likelihood: str = "gaussian",
    marginals: Spec = "kernel",
    families: str | Sequence[str] = "kernel",
    trees: int | None = None,
    max_rows: int | None = 2000,
    seed: int | None = None,
) -> CodeGenerator:
    r"""An autoencoder, and a vine that is chosen for its codes: a generator with no prior.

    .. math:: \hat F_j, \hat c \ \text{of}\ z = f(x), \qquad
        u \sim \hat c, \quad x = g\bigl(\hat F^{-1}(u)\bigr)

    The autoencoder is trained for reconstruction alone and no prior pulls at its codes; their
    marginals and the vine are fitted after, by `anabranch.procedures.fit_vine_autoencoder`. Any
    other autoencoder stands in a `CodeGenerator`.

    Source: Tagasovska, Ackerer, Vatter (2019), arXiv:1906.05423.

    Args:
        features: D.
        latent: J, size of a code.
        hidden: hidden sizes of the encoder; the decoder has them in reverse.
        likelihood: "gaussian" or "bernoulli", as of `anabranch.models.autoencoder`.
        marginals: of the codes, as of `anabranch.models.vine`.
        families: of the vine; "kernel" for no families at all.
        trees: of the vine; None for all.
        max_rows: the vine is chosen on at most as many codes; None for all.
        seed: of the initial weights.

    Raises:
        ValueError: for another likelihood, or what `anabranch.models.vine` refuses.

    Example:
        >>> vine_autoencoder(4, latent=2, hidden=[8], seed=0).sample(3).shape
        torch.Size([3, 4])
    """
    coder = autoencoder(features, latent=latent, hidden=hidden, likelihood=likelihood, seed=seed)
    codes = vine(latent, marginals=marginals, families=families, trees=trees, max_rows=max_rows)
    return CodeGenerator(coder, codes)
