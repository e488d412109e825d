"""The prior of the Gaussian-mixture autoencoder: a Gaussian, or a flow, for each component."""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from anabranch.distributions import Distribution
from anabranch.functional import normal_log_prob
from anabranch.functional.draws import normal_draws
from anabranch.networks import select_component


class MixturePrior(nn.Module):
    r"""K distributions over a latent space, each with a mean and standard deviations of its own.

    .. math:: p(z \mid y) = \mathcal N(z; \mu_y, \sigma_y^2), \quad
        \sigma_y = \operatorname{softplus}(s_y) + 1 \qquad\text{or}\qquad
        p(z \mid y) = f_y\!\left(\frac{z - \mu_y}{\sigma_y}\right) \prod_d \frac1{\sigma_{yd}}

    with the density of a flow :math:`f_y`. A fresh flow over a standard normal is the identity, and
    the second form then equals the first.

    Source: Li, Zhao, Xu, Chen, Xu, Li, Pei (2021), "Unsupervised clustering through Gaussian
    mixture variational autoencoder with non-reparameterized variational inference and std
    annealing"; the flows are what it proposes as future work.

    Args:
        latent: L.
        n_components: K.
        flows: a density of L features with ``batch_shape=(K,)``; None for Gaussians.
        generator: source of the initial means.

    Raises:
        ValueError: for flows of another shape.

    Example:
        >>> prior = MixturePrior(2, 3)
        >>> prior.log_prob(torch.zeros(2, 5), torch.eye(3)[:, :1].expand(3, 5)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        latent: int,
        n_components: int,
        flows: Distribution | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if flows is not None and (flows.event_shape, flows.batch_shape) != (
            (latent,),
            (n_components,),
        ):
            raise ValueError(
                f"flows must have event shape {(latent,)} and batch shape {(n_components,)}, "
                f"got {flows.event_shape} and {flows.batch_shape}"
            )
        self.flows = flows
        self.mean = nn.Parameter(torch.randn(latent, n_components, generator=generator))
        self.scale = nn.Parameter(torch.zeros(latent, n_components))

    def std(self) -> Tensor:
        """Standard deviations, (L, K), at least 1."""
        return softplus(self.scale) + 1.0

    def log_prob(self, z: Tensor, y: Tensor) -> Tensor:
        r"""Log p(z|y) of draws.

        All K flows are evaluated at all draws: K times the cost of the draws' own.

        Args:
            z: columns (L, \*lead, N).
            y: one-hot labels (K, \*lead, N), which may have gradients.

        Returns:
            (\*lead, N) in nats.
        """
        if self.flows is not None:
            each = self._flow_log_prob(z.flatten(1)).unflatten(1, z.shape[1:])
            return (y * each).sum(0)
        flat = y.flatten(1)
        loc, scale = (
            (values @ flat).unflatten(1, y.shape[1:]) for values in (self.mean, self.std())
        )
        return normal_log_prob(z, loc, scale)

    def log_prob_of_each(self, z: Tensor) -> Tensor:
        r"""Log p(z|y) of draws for each label, or of draws that all labels share.

        Args:
            z: columns (L, M, K, N), or (L, M, 1, N).

        Returns:
            (M, K, N) in nats.
        """
        if self.flows is None:
            return normal_log_prob(z, self.mean[:, None, :, None], self.std()[:, None, :, None])
        own = z.permute(2, 0, 1, 3).flatten(2)  # (K or 1, L, M N)
        return self._flow_log_prob(own).unflatten(1, (z.shape[1], -1)).transpose(0, 1)

    def _flow_log_prob(self, z: Tensor) -> Tensor:
        """Log-density of columns (L, n), (1, L, n) or (K, L, n) under each flow, (K, n)."""
        assert self.flows is not None
        std = self.std()
        noise = (z - self.mean.mT.unsqueeze(-1)) / std.mT.unsqueeze(-1)
        return self.flows.log_prob(noise.mT) - std.log().sum(0).unsqueeze(-1)

    def draw_labels(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Labels (n,), all equally likely."""
        n_components = self.mean.shape[1]
        return torch.randint(n_components, (n,), generator=generator, device=self.mean.device)

    def sample(self, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One draw for each of the labels (n,), as columns (L, n)."""
        noise = self._noise(labels, generator)
        return self.mean[:, labels] + self.std()[:, labels] * noise

    def _noise(self, labels: Tensor, generator: torch.Generator | None) -> Tensor:
        if self.flows is None:
            return normal_draws((len(self.mean), len(labels)), self.mean, generator)
        noise = self.mean.new_empty(len(self.mean), len(labels))
        for k in labels.unique().tolist():
            own = labels == k
            component = select_component(self.flows, k)
            noise[:, own] = component.rsample(int(own.sum()), generator=generator).mT
        return noise

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{len(self.mean)}, n_components={self.mean.shape[1]}"
