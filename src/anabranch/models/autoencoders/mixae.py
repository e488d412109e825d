"""MIXAE: a mixture of autoencoders."""

from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from anabranch.models.autoencoders.dense_coders import NetworkOptions
from anabranch.models.autoencoders.likelihoods import LIKELIHOODS
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.networks import MLP


class MixtureOfAutoencoders(nn.Module):
    r"""K autoencoders, and probabilities p(k|x) from all their codes.

    .. math:: e_k(x) = \lVert x - g_k(f_k(x)) \rVert^2, \qquad
        p(k \mid x) = \operatorname{softmax} h(f_1(x), \dots, f_K(x))

    Arguments and errors are those of `anabranch.models.mixae`, with a generator for the seed.

    Attributes:
        code_size: K J.

    Example:
        >>> model = MixtureOfAutoencoders(3, 4, 2, (8,))
        >>> model.encode(torch.zeros(5, 3)).shape, model.responsibilities(torch.zeros(5, 3)).shape
        (torch.Size([5, 8]), torch.Size([4, 5]))
    """

    def __init__(
        self,
        features: int,
        n_components: int,
        latent: int,
        hidden: Sequence[int],
        *,
        assignment: Sequence[int] = (),
        likelihood: str = "gaussian",
        **how: Unpack[NetworkOptions],
    ) -> None:
        super().__init__()
        if n_components < 1:
            raise ValueError(f"n_components must be positive, got {n_components}")
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood must be one of {LIKELIHOODS}, got {likelihood!r}")
        self.n_components, self.likelihood = n_components, likelihood
        self.code_size = n_components * latent

        def network(inputs: int, outputs: int, sizes: Sequence[int], *stack: int) -> MLP:
            return MLP(inputs, outputs, sizes, batch_shape=stack, **how)

        self.encoder = network(features, latent, hidden, n_components)
        self.decoder = network(latent, features, hidden[::-1], n_components)
        self.assignment = network(self.code_size, n_components, assignment)

    def encode(self, x: Tensor) -> Tensor:
        """Codes of all autoencoders beside each other, (N, K J), of rows (N, D)."""
        return self.encoder(x).movedim(0, -2).flatten(-2)

    def responsibilities(self, x: Tensor) -> Tensor:
        """Log p(k|x), (K, N)."""
        return torch.log_softmax(self.assignment(self.encode(x)), -1).mT

    def reconstruct(self, x: Tensor) -> Tensor:
        """Rows as each autoencoder tells them again, (K, N, D)."""
        output = self.decoder(self.encoder(x))
        return output if self.likelihood == "gaussian" else output.sigmoid()

    def errors(self, codes: Tensor, x: Tensor) -> Tensor:
        """Squared error, or cross-entropy in nats, of each with its codes (K, N, J), (K, N)."""
        return self.error(self.decoder(codes), x)

    def error(self, output: Tensor, x: Tensor) -> Tensor:
        """That of outputs (..., N, D) of a decoder, before any sigmoid, (..., N)."""
        if self.likelihood == "gaussian":
            return (x - output).square().sum(-1)
        x = x.expand_as(output)
        return binary_cross_entropy_with_logits(output, x, reduction="none").sum(-1)

    def told(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Errors of all autoencoders, and log p(k|x), (K, N) each."""
        codes = self.encoder(x)
        logits = self.assignment(codes.movedim(0, -2).flatten(-2))
        return self.errors(codes, x), torch.log_softmax(logits, -1).mT


@recipe
def mixae(
    features: int,
    n_components: int,
    *,
    latent: int = 10,
    hidden: Sequence[int] = (128, 64),
    assignment: Sequence[int] = (32,),
    likelihood: str = "gaussian",
    activation: str = "relu",
    seed: int | None = None,
) -> MixtureOfAutoencoders:
    r"""Each cluster is what one of K autoencoders tells best, a manifold of its own.

    .. math:: \min\; E \sum_k p_k(x) \lVert x - g_k(f_k(x)) \rVert^2

    All K are evaluated in one call. To be trained by `anabranch.procedures.fit_mixae`, whose loss
    has the entropies that keep all of them in use.

    Source: Zhang, Sun, Eriksson, Balzano (2017), "Deep unsupervised clustering using mixture of
    autoencoders", arXiv:1712.07788.

    Args:
        features: D.
        n_components: K.
        latent: J, size of a code: no more than a cluster has dimensions.
        hidden: hidden sizes of each encoder; its decoder has them in reverse.
        assignment: hidden sizes from the K J codes to the probabilities.
        likelihood: "gaussian" for squared errors, "bernoulli" for the cross-entropies of shares
            in [0, 1].
        activation: of the hidden layers.
        seed: of the initial weights.

    Raises:
        ValueError: for K out of range, or another likelihood.

    Example:
        >>> import torch
        >>> model = mixae(4, 3, latent=2, hidden=[8], seed=0)
        >>> model.responsibilities(torch.zeros(5, 4)).shape
        torch.Size([3, 5])
    """
    how = NetworkOptions(activation=activation, generator=make_generator(seed))
    return MixtureOfAutoencoders(
        features,
        n_components,
        latent,
        tuple(hidden),
        assignment=tuple(assignment),
        likelihood=likelihood,
        **how,
    )
