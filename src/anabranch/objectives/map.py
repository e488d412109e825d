"""The most probable parameters: a prior over the weights of a network beside the likelihood."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.functional.numbers import check_choice, check_positive, check_whole

PRIORS = ("normal", "laplace", "student")


class MaximumAPosteriori(Objective):
    r"""A training objective with a prior over all trainable parameters.

    .. math:: \mathcal L = -\frac1N \Bigl(\sum_n \log p(x_n \mid \theta) + \log p(\theta)\Bigr),
        \qquad p(\theta) = \prod_i f\bigl((\theta_i - \theta^0_i) / s\bigr) / s

    The prior is one density for the whole fit, whatever the batch, the learning rate and the
    optimiser are, and it is centred where the parameters are when this is made: for flows that
    start at the identity, on the identity. (Weight decay pulls to zero, by a strength that
    AdamW multiplies with its rate, and is of no density.) Rows count N times, so that more of them
    outweigh it.

    Source: Bishop (2006), "Pattern recognition and machine learning", section 1.2.5; MacKay (1992),
    "A practical Bayesian framework for backpropagation networks".

    Args:
        objective: whose loss is a mean negative log-likelihood over rows.
        n_rows: N, of the training set.
        prior: f, "normal", "laplace" (few parameters move) or "student" (of three degrees of
            freedom: some may move far).
        scale: s.

    Raises:
        ValueError: for another prior, a scale that is not positive, or no rows.

    Example:
        >>> from anabranch.distributions import DiagonalNormal
        >>> from anabranch.objectives import Likelihood
        >>> objective = MaximumAPosteriori(Likelihood(DiagonalNormal(1)), n_rows=10)
        >>> sorted(objective({"x": torch.zeros(3, 1)}).terms)
        ['log_prior', 'nll']
    """

    def __init__(
        self,
        objective: Objective,
        *,
        n_rows: int,
        prior: Literal["normal", "laplace", "student"] = "normal",
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.objective, self.n_rows, self.prior, self.scale = objective, n_rows, prior, scale
        self.stochastic = objective.stochastic
        check_choice(self, "prior", PRIORS)
        check_positive(self, ("scale",))
        check_whole(self, ("n_rows",), 1)
        trained = [p for p in objective.parameters() if p.requires_grad]
        for i, parameter in enumerate(trained):
            self.register_buffer(f"centre_{i}", parameter.detach().clone())

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The loss of a batch and of the prior, with the prior's logarithm as a term."""
        loss = self.objective(batch, **({"generator": generator} if self.stochastic else {}))
        log_prior = self.log_prior()
        total = loss.total - log_prior / self.n_rows
        return Loss(total, {**loss.terms, "log_prior": log_prior})

    def log_prior(self) -> Tensor:
        r""":math:`\log p(\theta)`, in nats."""
        trained = [p for p in self.objective.parameters() if p.requires_grad]
        parts = [
            _log_density((p - self.get_buffer(f"centre_{i}")) / self.scale, self.prior).sum()
            - p.numel() * math.log(self.scale)
            for i, p in enumerate(trained)
        ]
        return torch.stack(parts).sum() if parts else torch.zeros(())


def _log_density(t: Tensor, prior: str) -> Tensor:
    if prior == "laplace":
        return -t.abs() - math.log(2)
    if prior == "student":  # of three degrees of freedom
        return math.log(2 / (math.pi * math.sqrt(3))) - 2 * torch.log1p(t.square() / 3)
    return -t.square() / 2 - 0.5 * math.log(2 * math.pi)
