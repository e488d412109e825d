"""DEC and IDEC: deep embedded clustering."""

from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn

from anabranch.models.autoencoders.autoencoder import Autoencoder
from anabranch.models.autoencoders.dense_coders import Decoder, NetworkOptions
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.networks import MLP
from anabranch.objectives import student_log_q


class EmbeddedClustering(nn.Module):
    r"""An encoder f and K centres among its codes, to which rows are assigned softly.

    .. math:: q(k \mid x) \propto (1 + \lVert f(x) - m_k \rVert^2 / \alpha)^{-(\alpha + 1) / 2}

    Arguments and errors are those of `anabranch.models.dec`, with a generator for the seed.

    Example:
        >>> model = EmbeddedClustering(3, 4, 2, (8,))
        >>> model.responsibilities(torch.zeros(5, 3)).shape
        torch.Size([4, 5])
    """

    def __init__(
        self,
        features: int,
        n_components: int,
        latent: int,
        hidden: Sequence[int],
        *,
        alpha: float = 1.0,
        decoder: bool = False,
        likelihood: str = "gaussian",
        **how: Unpack[NetworkOptions],
    ) -> None:
        super().__init__()
        if n_components < 1 or not alpha > 0:
            raise ValueError(
                f"n_components and alpha must be positive, got {n_components} and {alpha}"
            )
        self.alpha = alpha
        self.encoder = MLP(features, latent, hidden, **how)
        self.decoder = None
        if decoder:
            self.decoder = Decoder(features, latent, hidden[::-1], likelihood, **how)
        self.centers = nn.Parameter(
            torch.randn(n_components, latent, generator=how.get("generator"))
        )

    def encode(self, x: Tensor) -> Tensor:
        """Codes (N, J) of rows (N, D)."""
        return self.encoder(x)

    def responsibilities(self, x: Tensor) -> Tensor:
        """Log q(k|x), (K, N)."""
        return self.assign(self.encoder(x))

    def assign(self, z: Tensor) -> Tensor:
        """Log q(k|z) at codes (N, J), (K, N)."""
        return student_log_q(z, self.centers, self.alpha)

    @torch.no_grad()
    def start_from(self, model: Autoencoder, centers: Tensor) -> None:
        """Take over the networks of an autoencoder, and centres (K, J) among its codes."""
        self.encoder.load_state_dict(model.encoder.state_dict())
        self.centers.copy_(centers)
        if self.decoder is not None:
            self.decoder.load_state_dict(model.decoder.state_dict())


@recipe
def dec(
    features: int,
    n_components: int,
    *,
    latent: int = 10,
    hidden: Sequence[int] = (500, 500, 2000),
    alpha: float = 1.0,
    decoder: bool = False,
    likelihood: str = "gaussian",
    activation: str = "relu",
    seed: int | None = None,
) -> EmbeddedClustering:
    r"""Codes that gather around centres: assignments learn from their sharpened selves.

    .. math:: \mathcal L = \mathrm{KL}(P \,\|\, Q) + w\, \mathrm{MSE}, \qquad
        q_{nk} \propto (1 + \lVert z_n - m_k \rVert^2 / \alpha)^{-\frac{\alpha + 1}{2}}, \qquad
        p_{nk} \propto q_{nk}^2 / {\textstyle\sum_m} q_{mk}

    Begin with ``start_from``: the networks of an `autoencoder`, and centres by k-means on its
    codes. Go on with `anabranch.procedures.fit_dec`, which has w.

    Source: Xie, Girshick, Farhadi (2016), "Unsupervised deep embedding for clustering analysis",
    arXiv:1511.06335 (DEC); with w > 0: Guo, Gao, Liu, Yin (2017), "Improved deep embedded
    clustering with local structure preservation" (IDEC; its γ = 0.1 is w = 10).

    Args:
        features: D.
        n_components: K.
        latent: J, size of a code.
        hidden: hidden sizes of the encoder; the decoder has them in reverse.
        alpha: degrees of freedom of the assignments.
        decoder: whether the decoder of the autoencoder is kept, as in IDEC, or dropped.
        likelihood: "gaussian" for squared errors, "bernoulli" for cross-entropies.
        activation: of the hidden layers.
        seed: of the initial weights.

    Raises:
        ValueError: for K or alpha out of range, or another likelihood.

    Example:
        >>> import torch
        >>> model = dec(4, 3, latent=2, hidden=[8], seed=0)
        >>> model.responsibilities(torch.zeros(5, 4)).exp().sum(0)
        tensor([1.0000, 1.0000, 1.0000, 1.0000, 1.0000], ...)
    """
    how = NetworkOptions(activation=activation, generator=make_generator(seed))
    return EmbeddedClustering(
        features,
        n_components,
        latent,
        tuple(hidden),
        alpha=alpha,
        decoder=decoder,
        likelihood=likelihood,
        **how,
    )
