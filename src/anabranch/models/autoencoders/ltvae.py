"""LTVAE: the latent tree variational autoencoder."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import torch
from torch import Tensor

from anabranch.distributions.latent_tree import LatentTree
from anabranch.distributions.tree_structure import TreeStructure
from anabranch.models.autoencoders.autoencoder import Autoencoder
from anabranch.models.autoencoders.dense_coders import NetworkOptions
from anabranch.models.autoencoders.vae import VariationalAutoencoder
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe

LOG_2PI = math.log(2 * math.pi)


class LatentTreeVAE(VariationalAutoencoder):
    r"""LTVAE: several clusterings at once, as the variables of a tree over the codes.

    .. math:: \log p(x) \ge E_{q(z|x)} [\log p(x \mid z) + \log p(z)] + H(q(z \mid x))

    with p(z) a `anabranch.distributions.LatentTree`. The expectation is that of one
    reparameterised draw. The tree takes no gradients: it is fitted by stepwise EM to the codes that
    are drawn, see `anabranch.procedures.fit_ltvae`.

    ``structure`` is that of the tree, over the J features of a code; further arguments and errors
    are those of `anabranch.models.ltvae`.

    Attributes:
        prior: the tree.
        facet: the variable that ``responsibilities`` speak of.

    Example:
        >>> model = LatentTreeVAE(3, TreeStructure.single(2, 4), (8,))
        >>> model.responsibilities(torch.zeros(5, 3)).shape
        torch.Size([4, 5])
    """

    recipe: dict[str, Any] | None = None
    facet: Tensor

    def __init__(
        self,
        features: int,
        structure: TreeStructure,
        hidden: Sequence[int],
        *,
        likelihood: str = "gaussian",
        **how: Unpack[NetworkOptions],
    ) -> None:
        super().__init__(features, structure.features, hidden, likelihood=likelihood, **how)
        self.register_buffer("facet", torch.tensor(0))
        self.prior = LatentTree(structure, generator=how.get("generator")).requires_grad_(False)

    def facets(self, x: Tensor) -> list[Tensor]:
        """Log p(y_i|z) at the mean code of each row, (K_i, N) for each variable of the tree."""
        return self.prior.posterior(self.encode(x)).nodes

    def responsibilities(self, x: Tensor) -> Tensor:
        """That of ``facet`` alone, (K, N)."""
        return self.facets(x)[int(self.facet)]

    def draw(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """A code of each row from q(z|x), and the log-scales of q, (N, J) each."""
        loc, log_scale = self.encoder(x)
        return loc + log_scale.exp() * noise, log_scale

    def terms(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Log p(x|z) and -H(q) - log p(z) at one draw, (N,) each; their gap is the bound."""
        return self.terms_at(x, *self.draw(x, noise))

    def terms_at(self, x: Tensor, z: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
        """The same for what ``draw`` gave."""
        entropy = (log_scale + 0.5 * (1 + LOG_2PI)).sum(-1)
        return self.decoder.log_prob(z, x), -entropy - self.prior.log_prob(z)

    def set_prior(self, tree: LatentTree) -> None:
        """Take a tree, of any structure over the same codes, in place of the present one.

        A model that was built by its recipe then has that structure among its arguments.

        Raises:
            ValueError: for a tree over another number of features.
        """
        if tree.structure.features != self.prior.structure.features:
            raise ValueError(
                f"tree must be over {self.prior.structure.features} features, the size of a code, "
                f"got {tree.structure.features}"
            )
        own = LatentTree(tree.structure, generator=torch.Generator().manual_seed(0))
        own.load_state_dict(tree.state_dict())
        self.prior = own.to(self.prior.loc[0]).requires_grad_(False).train(self.training)
        self.facet.zero_()
        if self.recipe is not None:
            arguments = {**self.recipe["arguments"], "structure": tree.structure.plain()}
            object.__setattr__(self, "recipe", {**self.recipe, "arguments": arguments})

    @torch.no_grad()
    def start_from(
        self, model: Autoencoder, error: float, tree: LatentTree, centre: Tensor, matrix: Tensor
    ) -> None:
        """Take over an autoencoder, with its codes z as (z - centre) @ matrix, and a tree of those.

        No reconstruction is changed by that.

        Args:
            model: with the same sizes.
            error: its mean squared error per feature, where the likelihood is Gaussian.
            tree: of the new codes.
            centre: (J,).
            matrix: (J, J), regular.
        """
        self.set_prior(tree)
        variances = torch.ones(len(centre)).to(centre)
        for i in range(len(self.prior.structure.states)):
            own = list(self.prior.structure.owned(i))
            variances[own] = self.prior.scale_tril(i).square().sum(-1).mean(0).to(centre)
        # narrower than the clusters, or the decoder would not know the codes it was trained on
        self.encoder.adopt(model.encoder, 0.5 * variances.log() - math.log(4.0))
        self.decoder.adopt(model.decoder, error)
        last, n = self.encoder.network.last, len(centre)
        network = self.decoder.network
        first: Any = network.hidden[0] if len(network.hidden) else network.last
        shift, forth, back = (
            v.to(last.weight) for v in (centre[:, None], matrix.mT, torch.linalg.inv(matrix.mT))
        )
        last.weight[:n] = forth @ last.weight[:n]
        last.bias[:n] = forth @ (last.bias[:n] - shift)
        first.bias += first.weight @ shift
        first.weight.copy_(first.weight @ back)


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
        seed: of the initial weights.

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
    how = NetworkOptions(activation=activation, generator=make_generator(seed))
    return LatentTreeVAE(features, tree, tuple(hidden), likelihood=likelihood, **how)
