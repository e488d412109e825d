"""Kernel densities of single numbers."""

import torch
from torch import Generator, Tensor

from anabranch.contracts.context import vector_size
from anabranch.contracts.marginals import Marginals
from anabranch.functional import expand_batch
from anabranch.functional.normal_scores import log_cdf_pair, normal_score
from anabranch.functional.numbers import check_positive, check_whole
from anabranch.functional.roots import find_root, implicit
from anabranch.functional.shapes import Shape

Pair = tuple[Tensor, Tensor]
# of the bandwidth of Silverman's rule of thumb
SILVERMAN, QUARTILES = 0.9, 1.349


class KernelDensity(Marginals):
    r"""Gaussian kernels around the rows, for each number alone.

    .. math:: F_d(x) = \sum_m w_{md}\, \Phi\Bigl(\frac{x - c_{md}}{s_{md}}\Bigr), \qquad
        s_{md}^2 = h_d^2 + v_{md}

    Where there are more rows than kernels, each kernel stands for as many neighbours in order, at
    their mean, and is wider by their variance v: mean and variance of the whole are kept, and far
    out, where rows are few, kernels are wide. h is Silverman's bandwidth times ``width``. Before
    ``fit_rows`` all numbers are standard normal.

    Args:
        event_shape: D.
        kernels: M, at most.
        width: factor of the bandwidth.
        batch_shape: the component axis.

    Raises:
        ValueError: for no kernels, or a width that is not positive.

    Source: Silverman (1986), "Density estimation for statistics and data analysis", section 3.4.

    Example:
        >>> density = KernelDensity(1)
        >>> density.fit_rows(torch.tensor([[-1.0], [0.0], [1.0]]))
        >>> density.cdf(torch.zeros(1, 1))
        tensor([[0.5000]])
    """

    centres: Tensor
    log_scales: Tensor
    log_weights: Tensor

    def __init__(
        self,
        event_shape: int | Shape,
        *,
        kernels: int = 128,
        width: float = 1.0,
        batch_shape: Shape = (),
    ) -> None:
        super().__init__(event_shape, batch_shape=batch_shape)
        self.kernels, self.width = kernels, width
        check_whole(self, ("kernels",), 1)
        check_positive(self, ("width",))
        # (..., 1, M, D) against rows (..., N, 1, D)
        shape = (*batch_shape, 1, kernels, vector_size(self.event_shape))
        self.register_buffer("centres", torch.zeros(shape))
        self.register_buffer("log_scales", torch.zeros(shape))
        self.register_buffer("log_weights", torch.full(shape, -float(torch.tensor(kernels).log())))

    @torch.no_grad()
    def fit_rows(self, x: Tensor, weights: Tensor | None = None) -> None:
        r"""Put the kernels where rows are.

        Args:
            x: (N, D) or (\*batch_shape, N, D), two rows or more.
            weights: (N,) or (\*batch_shape, N), what rows count; None for one each.
        """
        rows = expand_batch(x, self.batch_shape, 1).double()
        counts = torch.ones_like(rows[..., 0]) if weights is None else weights.to(rows)
        counts = counts.expand(rows.shape[:-1])
        share = (counts / counts.sum(-1, keepdim=True)).unsqueeze(-1).expand_as(rows)
        ordered, order = rows.sort(-2)
        share = share.gather(-2, order)
        above = share.cumsum(-2)
        # the place in order says which kernel a row belongs to
        place = ((above - share / 2) * self.kernels).long().clamp(0, self.kernels - 1)
        empty = rows.new_zeros(*rows.shape[:-2], self.kernels, rows.shape[-1])
        mass = empty.scatter_add(-2, place, share)
        held = mass.clamp_min(1e-300)
        centre = empty.scatter_add(-2, place, share * ordered) / held
        apart = (ordered - centre.gather(-2, place)).square()
        variance = empty.scatter_add(-2, place, share * apart) / held
        band = self.width * _silverman(ordered, share, above)
        # kernels without rows count nothing, and stand where they do no harm
        mean = (share * ordered).sum(-2, keepdim=True)
        centre = torch.where(mass > 0, centre, mean.expand_as(centre))
        self.centres.copy_(centre.unsqueeze(-3))
        self.log_scales.copy_((0.5 * (variance + band.square()).log()).unsqueeze(-3))
        self.log_weights.copy_(mass.clamp_min(1e-30).log().unsqueeze(-3))

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        t = (x.unsqueeze(-2) - self.centres) * torch.exp(-self.log_scales)
        # a power of the distance that does not overflow far out
        parts = self.log_weights - self.log_scales - t.square() / 2 - 0.918938533204672742
        return torch.logsumexp(parts, -2).sum(-1)

    def _log_cdf_pair(self, x: Tensor) -> Pair:
        scale = torch.exp(-self.log_scales.double())
        t = (x.double().unsqueeze(-2) - self.centres.double()) * scale
        weights = self.log_weights.double()
        lower, upper = log_cdf_pair(t)
        return torch.logsumexp(weights + lower, -2), torch.logsumexp(weights + upper, -2)

    def _scores(self, x: Tensor, context: Tensor | None) -> Tensor:
        return normal_score(*self._log_cdf_pair(x)).to(x.dtype)

    def _from_scores(self, z: Tensor, context: Tensor | None) -> Tensor:
        goal, scale = z.double(), self.log_scales.double().exp()
        ends = self.centres.double() + scale * goal.unsqueeze(-2).detach()

        def score(x: Tensor) -> Tensor:
            return normal_score(*self._log_cdf_pair(x))

        goal = goal.expand(ends.shape[:-2] + ends.shape[-1:])
        root = find_root(score, goal, lower=ends.amin(-2), upper=ends.amax(-2))
        return implicit(score, root, goal).to(z.dtype)

    def _cdf(self, x: Tensor, context: Tensor | None) -> Tensor:
        return self._log_cdf_pair(x)[0].exp().to(x.dtype)

    def _icdf(self, u: Tensor, context: Tensor | None) -> Tensor:
        return self._from_scores(torch.special.ndtri(u), context)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        shape = (*self.batch_shape, n, *self.event_shape)
        like = {"dtype": self.centres.dtype, "device": self.centres.device}
        noise = torch.randn(shape, generator=generator, **like)
        ends = self.log_weights.squeeze(-3).double().exp().cumsum(-2).mT.contiguous()
        u = torch.rand(shape, generator=generator, **like).mT.contiguous().double()
        chosen = torch.searchsorted(ends, u * ends[..., -1:]).clamp_max(self.kernels - 1).mT
        centre, scale = (
            part.squeeze(-3).gather(-2, chosen) for part in (self.centres, self.log_scales.exp())
        )
        return centre + scale * noise

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{super().extra_repr()}, kernels={self.kernels}"


def _silverman(ordered: Tensor, share: Tensor, above: Tensor) -> Tensor:
    """The bandwidth, (..., 1, D), of ordered rows with their shares and the shares up to them."""
    mean = (share * ordered).sum(-2, keepdim=True)
    spread = (share * (ordered - mean).square()).sum(-2, keepdim=True).sqrt()
    low, high = (
        ordered.gather(-2, (above < level).sum(-2, keepdim=True).clamp_max(ordered.shape[-2] - 1))
        for level in (0.25, 0.75)
    )
    middle = (high - low) / QUARTILES
    least = torch.where(middle > 0, torch.minimum(spread, middle), spread).clamp_min(1e-6)
    effective = 1 / share.square().sum(-2, keepdim=True)
    return SILVERMAN * least * effective.pow(-0.2)
