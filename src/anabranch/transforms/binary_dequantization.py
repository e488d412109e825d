"""Bits as the signs of numbers: dequantization without bounds."""

import torch
from torch import Generator, Tensor
from torch.nn.functional import logsigmoid, softplus

from anabranch.contracts.distribution import Distribution
from anabranch.contracts.domain import Integers
from anabranch.contracts.transform import Pair, Transform
from anabranch.functional import as_rows
from anabranch.functional.shapes import Shape
from anabranch.transforms.noise_context import check_noise, drawn, told


class BinaryDequantization(Transform):
    r"""Spread bits over the two halves of the line, by noise that depends on them.

    .. math:: z = (2x - 1)\, g(e), \quad g(e) = \log(1 + \exp e), \quad e \sim q(e \mid x, c),
        \qquad \mathrm{term} = -\log q(e \mid x, c) + \sum_d \log g'(e_d)

    so that z is positive where x is one, and has no other bound: a model over z needs no steep
    walls, as it does where bits are spread over unit cells. ``decode`` looks at the sign. A model
    over z gives a lower bound of the log-probability of x, which is the closer the better q follows
    the model in each orthant.

    Args:
        event_shape: D, or (C, H, W).
        noise: distribution q of e, over events of this shape. It may take the bits, as -1 and 1, as
            its context; and with a context_shape, that context behind them along the first axis.
        context_shape: of c, of the same sides as the event; an integer is a vector's size, 0 none.

    Raises:
        ValueError: for noise of another shape or context.

    Source: Winkler, Worrall, Hoogeboom, Welling (2019), "Learning likelihoods with conditional
    normalizing flows", arXiv:1912.00042, section 3.2.

    Example:
        >>> from anabranch.distributions import Normal
        >>> transform = BinaryDequantization(3, Normal(3))
        >>> bits = torch.tensor([[1.0, 0.0, 1.0]])
        >>> z, _ = transform.encode(bits)
        >>> (z > 0).tolist(), bool((transform.decode(z)[0] == bits).all())
        ([[True, False, True]], True)
    """

    exact = False
    stochastic = True

    def __init__(
        self, event_shape: int | Shape, noise: Distribution, *, context_shape: int | Shape = ()
    ) -> None:
        super().__init__(event_shape, batch_shape=noise.batch_shape, context_shape=context_shape)
        self.domain = Integers(2)
        if noise.event_shape != self.event_shape:
            raise ValueError(
                f"BinaryDequantization: the event is of {self.event_shape}, "
                f"the noise of {noise.event_shape}"
            )
        check_noise("BinaryDequantization", noise, self.event_shape, self.context_shape)
        self.noise = noise

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        e, log_prob = drawn(self.noise, self._told(x, context), self.event_shape, generator)
        # where g(e) rounds to nothing, decode would not give x back
        size = softplus(e).clamp_min(torch.finfo(e.dtype).tiny)
        return (2 * x - 1) * size, self._slope(e) - log_prob

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        x = (z > 0).to(z.dtype)
        size = z.abs().clamp_min(torch.finfo(z.dtype).tiny)
        e = size + torch.log(-torch.expm1(-size))
        given = self._told(x, context) if self.noise.context_shape else None
        log_prob = self.noise.log_prob(e, given, generator=generator)
        return x, log_prob - self._slope(e)

    def _told(self, x: Tensor, context: Tensor | None) -> Tensor:
        return told(2 * x - 1, context if self.context_shape else None, len(self.event_shape))

    def _slope(self, e: Tensor) -> Tensor:
        """Log dg/de, summed."""
        return as_rows(logsigmoid(e), self.event_shape).sum(-1)
