"""Categories and counts as normal scores, by the distributional transform."""

import torch
from torch import Generator, Tensor

from anabranch.contracts.domain import Integers
from anabranch.contracts.transform import Pair, Transform
from anabranch.functional import expand_batch, standard_normal_log_prob
from anabranch.functional.numbers import check_positive
from anabranch.functional.shapes import Shape


class DistributionalTransform(Transform):
    r"""Integers spread over their share of the normal law: the marginals of a copula of integers.

    .. math:: z_d = \Phi^{-1}\bigl(F_d(x_d - 1) + v_d\, P_d(x_d)\bigr), \quad v_d \sim U(0, 1),
        \qquad \mathrm{term} = \sum_d \log P_d(x_d) - \log\varphi(z_d)

    Whatever P is, z is standard normal where x has that law, so that a copula of numbers ties
    categories and counts too; with none behind it the bound is exact. Before ``fit_rows`` all
    levels are alike.

    Source: Rüschendorf (2009), "On the distributional transform, Sklar's theorem, and the empirical
    copula process".

    Args:
        features: D.
        levels: each column has the integers 0..levels-1; of counts one more than the largest.
        smoothing: rows that each level is given beside those that there are.
        batch_shape: the component axis.

    Raises:
        ValueError: for fewer than two levels, or a smoothing that is not positive.

    Example:
        >>> transform = DistributionalTransform(1, levels=2)
        >>> transform.fit_rows(torch.tensor([[0.0], [1.0], [1.0], [1.0]]))
        >>> z, _ = transform.encode(torch.tensor([[0.0], [1.0]]))
        >>> transform.decode(z)[0]
        tensor([[0.],
                [1.]])
    """

    exact = False
    stochastic = True
    log_shares: Tensor

    def __init__(
        self, features: int, *, levels: int, smoothing: float = 0.5, batch_shape: Shape = ()
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        self.levels, self.smoothing, self.domain = levels, smoothing, Integers(levels)
        check_positive(self, ("smoothing",))
        shares = torch.full((*batch_shape, features, levels), 1 / levels)
        self.register_buffer("log_shares", shares.log())

    @torch.no_grad()
    def fit_rows(self, x: Tensor, weights: Tensor | None = None) -> None:
        r"""Count the levels of each column, (N, D) or (\*batch_shape, N, D); see `FitsRows`."""
        rows = expand_batch(x, self.batch_shape, 1).mT
        counts = torch.ones_like(rows) if weights is None else weights.unsqueeze(-2).expand_as(rows)
        held = torch.full_like(self.log_shares, self.smoothing)
        held = held.scatter_add(-1, rows.long(), counts.to(held))
        self.log_shares.copy_((held / held.sum(-1, keepdim=True)).log())

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        whole = x.expand(*self.batch_shape, *x.shape[-2:])
        v = torch.rand(whole.shape, dtype=x.dtype, device=x.device, generator=generator)
        log_p, below = self._of(whole)
        # neither end of a level is reached, so that decode gives it back
        margin = 1e-4
        u = below + v.double().clamp(margin, 1 - margin) * log_p.double().exp()
        z = torch.special.ndtri(u).to(x.dtype)
        return z, log_p.sum(-1) - standard_normal_log_prob(z)

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        whole = z.expand(*self.batch_shape, *z.shape[-2:])
        ends = self.log_shares.double().exp().cumsum(-1)[..., :-1].contiguous()
        u = torch.special.ndtr(whole.double()).mT.contiguous()
        x = torch.searchsorted(ends, u, right=True).mT.to(z.dtype)
        return x, standard_normal_log_prob(whole) - self._of(x)[0].sum(-1)

    def _of(self, x: Tensor) -> Pair:
        """The log-share of each integer, and what lies below it."""
        shares, places = self.log_shares, x.mT.long()
        below = shares.double().exp().cumsum(-1) - shares.double().exp()
        return shares.gather(-1, places).mT, below.gather(-1, places).mT

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{super().extra_repr()}, levels={self.levels}"
