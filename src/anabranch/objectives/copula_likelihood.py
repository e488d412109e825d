"""Likelihood of a copula that is not one by construction, with a penalty on its marginals."""

from collections.abc import Mapping

import torch
from torch import Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.contracts.transform import Transform
from anabranch.distributions import Flow
from anabranch.functional.numbers import check_not_negative, check_whole
from anabranch.objectives.likelihood import Likelihood


class CopulaLikelihood(Objective):
    r"""Negative log-likelihood of a flow, whose copula's marginals are pulled to the uniform law.

    .. math:: \mathcal L = -\overline{\log p(x)}
        + \lambda\, n \sum_d \overline{\Bigl(u_{(i)d} - \tfrac{i - 1/2}{n}\Bigr)^2}

    of n draws :math:`u = \Phi(h^{-1}(z))` of the copula map h, each column in its order: the
    statistic of Cramér and von Mises, about D/6 where marginals are uniform. A vine needs no
    penalty, for it has uniform marginals whatever its parameters are; a triangular map has none but
    at the optimum of infinitely many rows.

    Source: Wiese, Knobloch, Korn (2019), "Copula & marginal flows", arXiv:1907.03361.

    Args:
        flow: marginals, then a copula map before a standard normal.
        copula: the map h, a part of the flow, from normal scores to latents.
        weight: :math:`\lambda`.
        draws: n.

    Raises:
        ValueError: for a weight below zero, or fewer than two draws.

    Batches are those of `Likelihood`.

    Example:
        >>> from anabranch.models import copula_flow
        >>> flow = copula_flow(2, structure="triangular", seed=0)
        >>> objective = CopulaLikelihood(flow, flow.transform.transforms[-1])
        >>> sorted(objective({"x": torch.zeros(3, 2)}).terms)
        ['margins', 'nll']
    """

    stochastic = True

    def __init__(
        self, flow: Flow, copula: Transform, *, weight: float = 1.0, draws: int = 256
    ) -> None:
        super().__init__()
        self.likelihood, self.copula = Likelihood(flow), copula
        self.weight, self.draws = weight, draws
        check_not_negative(self, ("weight",))
        check_whole(self, ("draws",), 2)

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The loss of a batch, and of new draws."""
        loss = self.likelihood(batch, generator=generator)
        x = batch["x"]
        shape = (*self.copula.batch_shape, self.draws, *self.copula.latent_shape)
        z = torch.randn(shape, generator=generator, dtype=x.dtype, device=x.device)
        context = batch.get("context")
        if context is not None:  # each draw at the context of a row
            places = torch.arange(self.draws, device=x.device) % len(context)
            context = context[places]
        u, _ = torch.special.ndtr(self.copula.decode(z, context)[0]).sort(-2)
        ranks = (torch.arange(self.draws, dtype=x.dtype, device=x.device) + 0.5) / self.draws
        margins = self.draws * (u - ranks.unsqueeze(-1)).square().mean(-2).sum(-1).mean()
        return Loss(loss.total + self.weight * margins, {**loss.terms, "margins": margins})
