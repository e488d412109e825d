"""Maximum likelihood of one distribution."""

from collections.abc import Mapping

import torch
from torch import Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.distributions import Distribution
from anabranch.functional.averages import weighted_mean


class Likelihood(Objective):
    r"""Negative mean log-density, :math:`-\frac1N \sum_n \log p(x_n \mid c_n)`, in nats.

    Where the distribution's ``log_prob`` is a lower bound, so is the likelihood that is maximised.

    Args:
        distribution: what is trained.

    Batches are dicts of ``x`` (N, \*event), and optionally ``context`` (N, C), ``weights`` (N,),
    what each row counts in the mean, and ``term`` (N,), a constant of the data that is added to the
    reported log-densities, such as that of a fixed preparation.

    Example:
        >>> import torch
        >>> from anabranch.distributions import Normal
        >>> Likelihood(Normal(2))({"x": torch.zeros(3, 2)}).total
        tensor(1.8379)
    """

    def __init__(self, distribution: Distribution) -> None:
        super().__init__()
        self.distribution = distribution
        self.stochastic = distribution.stochastic

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The objective, and the same in the units of the data as the term "nll"."""
        log_prob = self.distribution.log_prob(batch["x"], batch.get("context"), generator=generator)
        weights = batch.get("weights")
        nll = -(log_prob.mean() if weights is None else weighted_mean(log_prob, weights))
        offset = weighted_mean(batch["term"], weights) if "term" in batch else 0.0
        return Loss(nll, {"nll": nll - offset})
