"""The multivariate t distribution: a broad base whose tails no Gaussian has."""

import math

import torch
from torch import Generator, Tensor

from anabranch.contracts.distribution import Distribution
from anabranch.functional import as_rows
from anabranch.functional.numbers import check_positive, check_whole
from anabranch.functional.shapes import Shape


class StudentT(Distribution):
    r"""The spherical multivariate t distribution around zero.

    .. math:: p(x) = \frac{\Gamma(\frac{\nu + D}2)}{\Gamma(\frac\nu2)\, (\nu\pi)^{D/2} s^D}
        \Bigl(1 + \frac{\lVert x \rVert^2}{\nu s^2}\Bigr)^{-\frac{\nu + D}2}

    Its log-density falls with the logarithm of the distance, so that a row ten times farther out
    costs a few nats and no more: what a defensive component is made of. A missing number, NaN, is
    integrated out: its marginals are of the same kind.

    Args:
        event_shape: D, or the shape of an image.
        df: degrees of freedom :math:`\nu`, an integer.
        scale: s.
        batch_shape: the component axis.

    Raises:
        ValueError: where df is no positive integer, or scale not positive.

    Source: Kotz, Nadarajah (2004), "Multivariate t distributions and their applications"; as a
    guard against outliers Peel, McLachlan (2000), "Robust mixture modelling using the t
    distribution", Statistics and Computing 10.

    Example:
        >>> StudentT(1, df=1).log_prob(torch.zeros(1, 1)).exp()  # of the Cauchy, 1 / pi
        tensor([0.3183])
    """

    shared_buffers = ("anchor",)
    anchor: Tensor

    def __init__(
        self,
        event_shape: int | Shape,
        *,
        df: int = 2,
        scale: float = 1.0,
        batch_shape: Shape = (),
    ) -> None:
        super().__init__(event_shape, batch_shape=batch_shape)
        self.df, self.scale = df, scale
        check_whole(self, ("df",), 1)
        check_positive(self, ("scale",))
        self.register_buffer("anchor", torch.zeros(()), False)  # knows the dtype and the device

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        df, rows = self.df, as_rows(x, self.event_shape)
        known = ~rows.isnan()
        size = known.sum(-1).to(rows)
        level = torch.lgamma((df + size) / 2) - math.lgamma(df / 2)
        level = level - size * (math.log(df * math.pi) / 2 + math.log(self.scale))
        # scaled first, so that squares of far rows stay in the range of single precision
        far = torch.where(known, rows / (self.scale * math.sqrt(df)), 0.0).square().sum(-1)
        return level - (df + size) / 2 * torch.log1p(far)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        like = {"dtype": self.anchor.dtype, "device": self.anchor.device}
        shape, ones = (*self.batch_shape, n), (1,) * len(self.event_shape)
        noise = torch.randn((*shape, *self.event_shape), generator=generator, **like)
        squares = torch.randn((*shape, self.df), generator=generator, **like).square().mean(-1)
        return self.scale * noise / squares.sqrt().reshape(*shape, *ones)
