"""MIXAE: a mixture of autoencoders."""

from collections.abc import Sequence

from anabranch.models.autoencoders.mixture_of_autoencoders import MixtureOfAutoencoders
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe


@recipe
def mixae(
    features: int,
    n_components: int,
    *,
    latent: int = 10,
    hidden: Sequence[int] = (128, 64),
    assignment: Sequence[int] = (32,),
    certainty: float = 0.1,
    balance: float = 0.5,
    likelihood: str = "gaussian",
    activation: str = "relu",
    seed: int | None = None,
) -> MixtureOfAutoencoders:
    r"""Each cluster is what one of K autoencoders tells best, a manifold of its own.

    .. math:: \mathcal L = \tfrac1u E \sum_k p_k(x) \lVert x - g_k(f_k(x)) \rVert^2
        + \alpha\, E\, H(p(x)) - \gamma\, H(E\, p(x)), \qquad
        u = E\, \lVert x - \bar x \rVert^2

    With cross-entropies, u is that of the mean row less that of the row itself. Errors are sums
    over columns; in units of what there is to tell of a row, the same weights serve tables of any
    width. The published loss has no such unit.

    All K are evaluated in one call. To be trained by `anabranch.procedures.fit_mixae`, which
    takes u from the rows and lets α fall.

    Source: Zhang, Sun, Eriksson, Balzano (2017), "Deep unsupervised clustering using mixture of
    autoencoders", arXiv:1712.07788.

    Args:
        features: D.
        n_components: K.
        latent: J, size of a code: no more than a cluster has dimensions.
        hidden: hidden sizes of each encoder; its decoder has them in reverse.
        assignment: hidden sizes from the K J codes to the probabilities.
        certainty: α at the start.
        balance: γ; at 0 most autoencoders fall out of use, and where it is not above α all but one
            may.
        likelihood: "gaussian" for squared errors, "bernoulli" for the cross-entropies of shares
            in [0, 1].
        activation: of the hidden layers.
        seed: of the initial weights.

    Raises:
        ValueError: for K or a weight out of range, or another likelihood.

    Example:
        >>> import torch
        >>> model = mixae(4, 3, latent=2, hidden=[8], seed=0)
        >>> model.responsibilities(torch.zeros(5, 4)).exp().sum(0)
        tensor([1.0000, 1.0000, 1.0000, 1.0000, 1.0000], ...)
    """
    return MixtureOfAutoencoders(
        features,
        n_components,
        latent,
        tuple(hidden),
        assignment=tuple(assignment),
        certainty=certainty,
        balance=balance,
        likelihood=likelihood,
        activation=activation,
        generator=make_generator(seed),
    )
