"""A latent tree as the prior of NVISA: several clusterings of the same rows."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus

from anabranch.functional import normal_log_prob
from anabranch.functional.draws import normal_draws


class TreePrior(nn.Module):
    r"""Discrete variables in a tree, each of which places latents of its own.

    .. math:: p(y) = p(y_1) \prod_{f > 1} p(y_f \mid y_{f-1}), \qquad
        p(z \mid y) = \prod_d \mathcal N(z_d; \mu_{d, y_{o(d)}}, \sigma^2_{d, y_{o(d)}}), \quad
        \sigma = \operatorname{softplus}(s) + 1

    The latent d belongs to the variable o(d). The tree is a chain, which two variables always
    are. All variables together are one label of :math:`K = \prod_f K_f` values, the last variable
    running fastest, so that what holds for a mixture of K components holds here; and with far fewer
    parameters than those.

    Source: Li, Zhao, Xu, Chen, Xu, Li, Pei (2021), "Unsupervised clustering through Gaussian
    mixture variational autoencoder with non-reparameterized variational inference and std
    annealing", which leaves it to future work; Li, Chen, Poon, Zhang (2019), "Learning latent
    superstructures in variational autoencoders for deep multidimensional clustering",
    arXiv:1803.05206, for the tree.

    Args:
        latent: L.
        states: :math:`K_f`, of each variable.
        generator: source of the initial means.

    Raises:
        ValueError: for a variable of fewer than two states, or fewer latents than variables.

    Example:
        >>> prior = TreePrior(4, [3, 2], generator=torch.Generator().manual_seed(0))
        >>> prior.mean.shape, prior.variables(torch.tensor([0, 1, 5])).tolist()
        (torch.Size([4, 6]), [[0, 0, 2], [0, 1, 1]])
    """

    owners: Tensor
    digits: Tensor

    def __init__(
        self, latent: int, states: Sequence[int], *, generator: Generator | None = None
    ) -> None:
        super().__init__()
        self.states = tuple(int(k) for k in states)
        if not self.states or min(self.states) < 2:
            raise ValueError(f"states must be integers of at least 2, got {list(states)}")
        if latent < len(self.states):
            raise ValueError(f"latent must be at least {len(self.states)}, got {latent}")
        most = max(self.states)
        self.loc = nn.Parameter(torch.randn(latent, most, generator=generator))
        self.scale = nn.Parameter(torch.zeros(latent, most))
        before = (1, *self.states[:-1])
        self.tables = nn.ParameterList(
            nn.Parameter(torch.zeros(parent, own))
            for parent, own in zip(before, self.states, strict=True)
        )
        self.register_buffer("owners", torch.arange(latent) * len(self.states) // latent)
        every = torch.cartesian_prod(*map(torch.arange, self.states))
        self.register_buffer("digits", every.reshape(-1, len(self.states)).mT.contiguous(), False)

    @property
    def n_components(self) -> int:
        """K, of all variables together."""
        return prod(self.states)

    def variables(self, labels: Tensor) -> Tensor:
        """The states of the variables, (F, n), of labels of all together, (n,)."""
        return self.digits[:, labels]

    @property
    def mean(self) -> Tensor:
        """Means given all variables together, (L, K)."""
        return self.loc.gather(1, self.digits[self.owners])

    def std(self) -> Tensor:
        """Standard deviations given all variables together, (L, K), at least 1."""
        return softplus(self.scale.gather(1, self.digits[self.owners])) + 1.0

    def log_shares(self) -> Tensor:
        """Log p(y), (K,)."""
        before = torch.cat((torch.zeros_like(self.digits[:1]), self.digits[:-1]))
        tables = zip(self.tables, before, self.digits, strict=True)
        return torch.stack([t.log_softmax(1)[parent, own] for t, parent, own in tables]).sum(0)

    def _beyond_uniform(self) -> Tensor:
        """Log K p(y), (K,): bounds take labels for equally likely."""
        return self.log_shares() + torch.tensor(float(self.n_components)).log().to(self.loc)

    def log_prob(self, z: Tensor, y: Tensor) -> Tensor:
        r"""Log K p(y) p(z|y) of draws; see `MixturePrior.log_prob`, where K p(y) is one."""
        flat = y.flatten(1)
        loc, scale, share = (
            (values @ flat).unflatten(1, y.shape[1:])
            for values in (self.mean, self.std(), self._beyond_uniform()[None])
        )
        return normal_log_prob(z, loc, scale) + share[0]

    def log_prob_of_each(self, z: Tensor) -> Tensor:
        """The same for each label; see `MixturePrior.log_prob_of_each`."""
        loc, scale = self.mean[:, None, :, None], self.std()[:, None, :, None]
        return normal_log_prob(z, loc, scale) + self._beyond_uniform()[:, None]

    def draw_labels(self, n: int, generator: Generator | None = None) -> Tensor:
        """Labels (n,) of p(y)."""
        return torch.multinomial(self.log_shares().exp(), n, True, generator=generator)

    def sample(self, labels: Tensor, generator: Generator | None = None) -> Tensor:
        """One draw for each of the labels (n,), as columns (L, n)."""
        noise = normal_draws((len(self.loc), len(labels)), self.loc, generator)
        return self.mean[:, labels] + self.std()[:, labels] * noise

    @torch.no_grad()
    def set_moments(self, owners: Tensor, means: Tensor, stds: Tensor) -> None:
        """Place the latents.

        Args:
            owners: the variable of each latent, (L,).
            means: of each latent by the state of its variable, (L, most states).
            stds: likewise; below 1.05 they become that.
        """
        self.owners.copy_(owners)
        self.loc.copy_(means)
        self.scale.copy_(torch.log(torch.expm1((stds - 1.0).clamp_min(0.05))))

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{len(self.loc)}, states={list(self.states)}"


class VariableLogits(nn.Module):
    r"""Logits of all variables together, of a network with those of each: q factorises.

    .. math:: q(y \mid x) = \prod_f q(y_f \mid x)

    Args:
        network: from rows (N, D) to (N, sum of states).
        states: of each variable.

    Example:
        >>> logits = VariableLogits(nn.Linear(4, 5), [3, 2])
        >>> logits(torch.zeros(7, 4)).exp().sum(1).detach().round()
        tensor([1., 1., 1., 1., 1., 1., 1.])
    """

    def __init__(self, network: nn.Module, states: Sequence[int]) -> None:
        super().__init__()
        self.network, self.states = network, tuple(states)

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities of labels, (N, K), the last variable running fastest."""
        joint, *others = (
            part.log_softmax(-1) for part in self.network(x).split(list(self.states), -1)
        )
        for other in others:
            joint = (joint.unsqueeze(-1) + other.unsqueeze(-2)).flatten(-2)
        return joint
