"""Rényi's divergence to an unnormalised density, and doubly reparameterised gradients."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.distributions import Distribution

LogDensity = Callable[[Tensor], Tensor]


class AlphaDivergence(Objective):
    r"""The free energy of order :math:`\alpha` of a distribution q that shall approximate p~ / Z.

    .. math:: F_\alpha = -\frac1{1 - \alpha} \log \frac1N \sum_{i=1}^N
        \left(\frac{\tilde p(x_i)}{q(x_i)}\right)^{1 - \alpha}, \qquad x_i \sim q

    In the limit of many draws it is Rényi's divergence less :math:`\log Z`; :math:`\alpha = 1` is
    `ReverseKL`, which likes to leave out modes, :math:`\alpha = 0` the importance-weighted bound,
    and :math:`\alpha < 0` a bound of :math:`\log Z` from above, that covers all mass.

    With ``doubly_reparameterised`` gradients reach q through its draws only,

    .. math:: -\sum_i \left(\alpha \tilde w_i + (1 - \alpha) \tilde w_i^2\right)
        \frac{\partial \log w_i}{\partial x_i} \frac{\partial x_i}{\partial \theta},
        \qquad \tilde w \propto w^{1 - \alpha}

    which has the same mean and vanishes where q is p: what is left of the score does not. It takes
    the density of q at its own draws. The density may be tempered by ``beta`` while training, as in
    `ReverseKL`; `anabranch.training.fit_reverse_kl` fits both.

    Args:
        distribution: q, without component axis.
        log_density: :math:`\log \tilde p`, from points (N, \*event) to (N,), in nats.
        alpha: the order.
        doubly_reparameterised: whether gradients go through draws only.
        seed: of the draws in evaluation, which are the same each time.

    Batches are dicts of ``draw`` (N,), whose length is the number of draws.

    Raises:
        ValueError: for a component axis, or an order that is not finite.

    Source: Li, Turner (2016), "Rényi divergence variational inference", arXiv:1602.02311; Tucker,
    Lawson, Gu, Maddison (2019), "Doubly reparameterized gradient estimators", arXiv:1810.04152.

    Example:
        >>> from anabranch.distributions import Normal
        >>> loss = AlphaDivergence(Normal(2), Normal(2).log_prob, alpha=0.5)
        >>> loss({"draw": torch.zeros(5)}).total.abs()
        tensor(0.)
    """

    stochastic = True
    beta: Tensor

    def __init__(
        self,
        distribution: Distribution,
        log_density: LogDensity,
        *,
        alpha: float = 0.0,
        doubly_reparameterised: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if distribution.batch_shape:
            raise ValueError(
                "distribution must have no component axis, got batch_shape "
                f"{distribution.batch_shape}"
            )
        if not math.isfinite(alpha):
            raise ValueError(f"alpha must be a finite number, got {alpha}")
        self.distribution, self.log_density, self.seed = distribution, log_density, seed
        self.alpha, self.doubly_reparameterised = alpha, doubly_reparameterised
        self.register_buffer("beta", torch.ones(()))

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The free energy of as many draws as the batch has rows, fresh ones in training."""
        if not self.training:
            generator = torch.Generator(batch["draw"].device).manual_seed(self.seed + 1)
        n = len(batch["draw"])
        if not self.doubly_reparameterised:
            x, log_q = self.distribution.rsample_and_log_prob(n, generator=generator)
            return self._loss(self._energy(self._log_p(x) - log_q))
        x = self.distribution.rsample(n, generator=generator)
        with torch.enable_grad():
            point = x.detach().requires_grad_()
            log_w = self._log_p(point) - self.distribution.log_prob(point)
            weights = torch.softmax((1 - self.alpha) * log_w.detach(), 0)
            shares = self.alpha * weights + (1 - self.alpha) * weights.square()
            (slope,) = torch.autograd.grad((shares * log_w).sum(), point)
        pull = -(x * slope).sum()  # its gradient by q is the one above, its value means nothing
        return self._loss(self._energy(log_w.detach()) + pull - pull.detach())

    def _log_p(self, x: Tensor) -> Tensor:
        log_p = self.log_density(x)
        return self.beta * log_p if self.training else log_p

    def _energy(self, log_w: Tensor) -> Tensor:
        order = 1 - self.alpha
        if order == 0:
            return -log_w.mean()
        return -(torch.logsumexp(order * log_w, 0) - math.log(len(log_w))) / order

    def _loss(self, energy: Tensor) -> Loss:
        return Loss(energy, {"free_energy": energy})
