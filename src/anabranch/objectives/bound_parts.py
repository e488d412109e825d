"""What the bound of a mixture in a latent space is made of."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from anabranch.functional import normal_log_prob
from anabranch.functional.draws import normal_draws
from anabranch.objectives.mixture_bounds import LatentMixture


class BoundParts(NamedTuple):
    r"""Parts of the evidence lower bound, means over rows in nats.

    .. math:: E_q \log p(x \mid z) - \underbrace{I_q(x; y)}_{\text{information}}
        - \underbrace{\mathrm{KL}(\bar q(y) \,\|\, \tfrac1K)}_{\text{imbalance}}
        - \underbrace{E\, \mathrm{KL}(q(z \mid y, x) \,\|\, p(z \mid y))}_{\text{codes}},
        \qquad \bar q(y) = E_x\, q(y \mid x)

    The two in the middle are the divergence of q(y|x) from the uniform distribution: what the
    label tells of a row, and how unlike the shares of the labels are. ``codes`` is what the code
    tells of a row beyond its label, or spends in vain.

    Attributes:
        reconstruction: :math:`E_q \log p(x \mid z)`.
        information: mutual information of row and label, at most log K.
        imbalance: :math:`\log K - H(\bar q)`.
        codes: divergence of codes given the label.
    """

    reconstruction: float
    information: float
    imbalance: float
    codes: float

    @property
    def bound(self) -> float:
        """The evidence lower bound, the sum of the parts with their signs."""
        return self.reconstruction - self.information - self.imbalance - self.codes


@torch.no_grad()
def bound_parts(
    model: LatentMixture, x: Tensor, n_draws: int = 1, generator: torch.Generator | None = None
) -> BoundParts:
    """Take the bound of rows apart: labels are summed over, codes are drawn.

    Source: Hoffman, Johnson (2016), "ELBO surgery: yet another way to carve up the variational
    evidence lower bound", for the label.

    Args:
        model: such as `anabranch.models.GaussianMixtureVAE`.
        x: rows (N, D).
        n_draws: M, of the code of each row and label.
        generator: source of the draws.

    Example:
        >>> from anabranch.models import nvisa
        >>> parts = bound_parts(nvisa(4, 3, latent=2, hidden=[8], seed=0), torch.zeros(5, 4))
        >>> parts.information < 1e-6, 0 <= parts.imbalance < math.log(3)  # all rows are alike
        (True, True)
    """
    q = torch.softmax(model.logits(x), 0)
    loc, scale = (value.unsqueeze(1) for value in model.posterior(x.mT))
    n_labels = model.n_components if model.structured else 1
    noise = normal_draws((model.latent, n_draws, n_labels, len(x)), x, generator)
    z = loc + scale * noise
    fit = model.log_likelihood(x.mT, z).mean(0)
    spent = (normal_log_prob(z, loc, scale) - model.prior.log_prob_of_each(z)).mean(0)
    of_mean, of_each = (torch.special.entr(p).sum(0) for p in (q.mean(1), q))
    return BoundParts(
        reconstruction=float((q * fit).sum(0).mean()),
        information=float(of_mean - of_each.mean()),
        imbalance=math.log(model.n_components) - float(of_mean),
        codes=float((q * spent).sum(0).mean()),
    )
