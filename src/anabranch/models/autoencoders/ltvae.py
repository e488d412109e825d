"""LTVAE: the latent tree variational autoencoder."""

from collections.abc import Mapping, Sequence
from typing import Any

from anabranch.distributions.tree_structure import TreeStructure
from anabranch.models.autoencoders.latent_tree_vae import LatentTreeVAE
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe


@recipe
def ltvae(
    features: int,
    *,
    n_components: int = 10,
    structure: Mapping[str, Any] | None = None,
    latent: int = 10,
    hidden: Sequence[int] = (500, 500, 2000),
    likelihood: str = "gaussian",
    activation: str = "relu",
    seed: int | None = None,
) -> LatentTreeVAE:
    r"""A variational autoencoder whose prior is a tree of discrete variables, each a clustering.

    .. math:: \log p(x) \ge E_{q(z|x)} [\log p(x \mid z) + \log p(z)] + H(q(z \mid x)), \qquad
        p(z) = \sum_{y_1 \dots y_m} \prod_i p(y_i \mid y_{p(i)})
        \prod_b \mathcal N(z_b; \mu_{b, y_{o(b)}}, \Sigma_{b, y_{o(b)}})

    Begin with `anabranch.procedures.start_ltvae`, which also searches the structure; go on
    with `anabranch.procedures.fit_ltvae`. With one variable it is the "LTVAE-GMM".

    Source: Li, Chen, Poon, Zhang (2019), "Learning latent superstructures in variational
    autoencoders for deep multidimensional clustering", arXiv:1803.05206.

    Args:
        features: D.
        n_components: K, states of the single variable, where no structure is given.
        structure: the attributes of a `anabranch.distributions.TreeStructure`; None for one
            variable over the whole code, with full covariances.
        latent: J, size of a code.
        hidden: hidden sizes of the encoder; the decoder has them in reverse.
        likelihood: "gaussian" with one free standard deviation, or "bernoulli" for shares in
            [0, 1].
        activation: of the hidden layers.
        seed: of the initial weights and of the draws in training.

    Raises:
        ValueError: for a structure that is no tree over the code, or another likelihood.

    Example:
        >>> import torch
        >>> two = {"states": [3, 2], "parents": [-1, 0], "pouches": [[0], [1]], "owners": [0, 1]}
        >>> model = ltvae(4, structure=two, latent=2, hidden=[8], seed=0)
        >>> [tuple(facet.shape) for facet in model.facets(torch.zeros(5, 4))]
        [(3, 5), (2, 5)]
    """
    if structure is None:
        tree = TreeStructure.single(latent, n_components)
    else:
        tree = TreeStructure(**structure)
    if tree.features != latent:
        raise ValueError(
            f"structure must be over the {latent} features of a code, got {tree.features}"
        )
    return LatentTreeVAE(
        features,
        tree,
        tuple(hidden),
        likelihood=likelihood,
        activation=activation,
        generator=make_generator(seed),
    )
