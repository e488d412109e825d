"""DEC and IDEC: deep embedded clustering."""

from collections.abc import Sequence

from anabranch.models.autoencoders.embedded_clustering import EmbeddedClustering
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe


@recipe
def dec(
    features: int,
    n_components: int,
    *,
    latent: int = 10,
    hidden: Sequence[int] = (500, 500, 2000),
    alpha: float = 1.0,
    reconstruction: float = 0.0,
    likelihood: str = "gaussian",
    activation: str = "relu",
    seed: int | None = None,
) -> EmbeddedClustering:
    r"""Codes that gather around centres: assignments learn from their sharpened selves.

    .. math:: \mathcal L = \mathrm{KL}(P \,\|\, Q) + w\, \mathrm{MSE}, \qquad
        q_{nk} \propto (1 + \lVert z_n - m_k \rVert^2 / \alpha)^{-\frac{\alpha + 1}{2}}, \qquad
        p_{nk} \propto q_{nk}^2 / {\textstyle\sum_m} q_{mk}

    Begin with ``start_from``: the networks of an `autoencoder`, and centres by k-means on its
    codes. Then `anabranch.procedures.fit_self_training`.

    Source: Xie, Girshick, Farhadi (2016), "Unsupervised deep embedding for clustering analysis",
    arXiv:1511.06335 (DEC); with w > 0: Guo, Gao, Liu, Yin (2017), "Improved deep embedded
    clustering with local structure preservation" (IDEC; its γ = 0.1 is w = 10).

    Args:
        features: D.
        n_components: K.
        latent: J, size of a code.
        hidden: hidden sizes of the encoder; the decoder has them in reverse.
        alpha: degrees of freedom of the assignments.
        reconstruction: w, the weight of the reconstruction error per feature. 0 for DEC, which
            drops the decoder.
        likelihood: "gaussian" for squared errors, "bernoulli" for cross-entropies.
        activation: of the hidden layers.
        seed: of the initial weights.

    Raises:
        ValueError: for K, alpha or a weight out of range, or another likelihood.

    Example:
        >>> import torch
        >>> model = dec(4, 3, latent=2, hidden=[8], seed=0)
        >>> model.responsibilities(torch.zeros(5, 4)).exp().sum(0)
        tensor([1.0000, 1.0000, 1.0000, 1.0000, 1.0000], ...)
    """
    return EmbeddedClustering(
        features,
        n_components,
        latent,
        tuple(hidden),
        alpha=alpha,
        reconstruction=reconstruction,
        likelihood=likelihood,
        activation=activation,
        generator=make_generator(seed),
    )
