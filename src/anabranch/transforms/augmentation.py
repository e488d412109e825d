"""Layers with distributions inside: more dimensions, noise, and autoencoders as layers."""

import math
from math import prod

import torch
from torch import Generator, Tensor
from torch.nn.functional import logsigmoid

from anabranch.contracts.distribution import Distribution
from anabranch.contracts.domain import UNIT, Integers
from anabranch.contracts.transform import Pair, Transform
from anabranch.functional import as_rows, standard_normal_log_prob
from anabranch.functional.numbers import check_positive
from anabranch.functional.shapes import Shape, as_shape
from anabranch.transforms.noise_context import check_noise, drawn, told


class Augment(Transform):
    r"""Put noise beside the event, along its first axis.

    .. math:: z = (x, u), \quad u \sim q(u \mid x), \qquad \mathrm{term} = -\log q(u \mid x)

    The density of a model over z gives a lower bound of that of x, and ``decode`` drops u. With
    more dimensions a flow can untangle what it cannot with as many as the data have.

    Args:
        event_shape: D, or (C, H, W).
        noise: distribution of u, events of the same number of axes and of the same other sizes; it
            may take x as its context.

    Raises:
        ValueError: where the noise does not fit beside the event, or takes another context.

    Source: Huang, Dinh, Courville (2020), "Augmented normalizing flows", arXiv:2002.07101; Chen et
    al. (2020), "VFlow", arXiv:2002.09741.

    Example:
        >>> from anabranch.distributions import Normal
        >>> z, term = Augment(2, Normal(1)).encode(torch.zeros(5, 2))
        >>> z.shape, term.shape
        (torch.Size([5, 3]), torch.Size([5]))
    """

    exact = False
    stochastic = True

    def __init__(self, event_shape: int | Shape, noise: Distribution) -> None:
        shape, extra = as_shape(event_shape, "event_shape"), noise.event_shape
        if len(extra) != len(shape) or not shape or extra[1:] != shape[1:]:
            raise ValueError(f"noise of shape {extra} does not fit beside an event of {shape}")
        check_noise("Augment", noise, shape, ())
        super().__init__(shape, (shape[0] + extra[0], *shape[1:]), batch_shape=noise.batch_shape)
        self.noise = noise

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        u, log_prob = drawn(self.noise, x, self.event_shape, generator)
        x = x.expand(*log_prob.shape, *self.event_shape)
        return torch.cat((x, u), -len(self.event_shape)), -log_prob

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        sizes = self.event_shape[0], self.noise.event_shape[0]
        x, u = z.split(sizes, -len(self.event_shape))
        given = x if self.noise.context_shape else None
        return x, self.noise.log_prob(u, given, generator=generator)

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        u, _ = drawn(self.noise, x, self.event_shape, generator)
        self.noise.initialize(u, x if self.noise.context_shape else None, generator=generator)


class Pad(Transform):
    r"""Put narrow normal noise beside the event, along its first axis.

    .. math:: z = (x, \sigma e), \quad e \sim \mathcal N(0, I), \qquad
        \mathrm{term} = -\log \mathcal N(\sigma e; 0, \sigma^2 I)

    `Augment` with a fixed distribution, for couplings that want more features than data have.
    ``decode`` drops what was added.

    Args:
        event_shape: D, or (C, H, W).
        size: how many features, or channels, are added.
        std: :math:`\sigma`.

    Raises:
        ValueError: for a size below one, a std that is not positive, or an event without axes.

    Source: Ardizzone et al. (2018), "Analyzing inverse problems with invertible neural networks",
    arXiv:1808.04730, there with zeros.

    Example:
        >>> Pad(2, 3).decode(torch.ones(1, 5))[0]
        tensor([[1., 1.]])
    """

    exact = False
    stochastic = True

    def __init__(self, event_shape: int | Shape, size: int, *, std: float = 0.05) -> None:
        shape = as_shape(event_shape, "event_shape")
        if size < 1 or not shape:
            raise ValueError(f"size must be at least 1 and the event have an axis, got {size}")
        super().__init__(shape, (shape[0] + size, *shape[1:]))
        self.size, self.std = size, std
        check_positive(self, ("std",))

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        lead = x.shape[: x.ndim - len(self.event_shape)]
        shape = (*lead, self.size, *self.event_shape[1:])
        noise = self.std * torch.randn(shape, generator=generator, dtype=x.dtype, device=x.device)
        return torch.cat((x, noise), -len(self.event_shape)), -self._log_prob(noise)

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        x, noise = z.split((self.event_shape[0], self.size), -len(self.event_shape))
        return x, self._log_prob(noise)

    def _log_prob(self, noise: Tensor) -> Tensor:
        rows = as_rows(noise, (self.size, *self.event_shape[1:]))
        return standard_normal_log_prob(rows / self.std) - rows.shape[-1] * math.log(self.std)


class VariationalDequantization(Transform):
    r"""Spread integers over the unit interval by noise that depends on them.

    .. math:: z = (x + u) / n, \quad u = \sigma(e), \quad e \sim q(e \mid x), \qquad
        \mathrm{term} = -\log q(u \mid x) - D \log n

    A model over z then gives a lower bound of the log-probability of x, which is the closer the
    better q follows the model within each cell. `UniformDequantization` is the case of uniform u.

    Args:
        event_shape: D, or the shape of an image.
        noise: distribution q of e, over events of this shape; it may take the integers, scaled to
            -1..1, as its context, and with a context_shape that context behind them.
        levels: n, 256 for bytes.
        context_shape: of a context, of the sides of the event, that the noise is told behind the
            integers along the first axis; an integer is a vector's size, 0 none.

    Raises:
        ValueError: for fewer than two levels, or noise of another shape or context.

    Source: Ho et al. (2019), "Flow++", arXiv:1902.00275.

    Example:
        >>> from anabranch.distributions import Logistic
        >>> transform = VariationalDequantization(2, Logistic(2), levels=4)  # u is uniform
        >>> z, term = transform.encode(torch.tensor([[0.0, 3.0]]))
        >>> transform.decode(z)[0], term
        (tensor([[0., 3.]]), tensor([-2.7726]))
    """

    exact = False
    stochastic = True
    codomain = UNIT

    def __init__(
        self,
        event_shape: int | Shape,
        noise: Distribution,
        *,
        levels: int = 256,
        context_shape: int | Shape = (),
    ) -> None:
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        super().__init__(event_shape, batch_shape=noise.batch_shape, context_shape=context_shape)
        if noise.event_shape != self.event_shape:
            raise ValueError(
                f"VariationalDequantization: the event is of {self.event_shape}, "
                f"the noise of {noise.event_shape}"
            )
        check_noise("VariationalDequantization", noise, self.event_shape, self.context_shape)
        self.noise, self.levels, self.domain = noise, levels, Integers(levels)

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        e, log_prob = drawn(self.noise, self._told(x, context), self.event_shape, generator)
        # Where u rounds up to the next integer, decode would not give x back.
        margin = min(0.5, 2 * self.levels * torch.finfo(x.dtype).eps)
        u = torch.sigmoid(e).clamp(margin, 1 - margin)
        return (x + u) / self.levels, self._slope(e) - log_prob - self._log_volume()

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        x = (z * self.levels).floor().clamp(0, self.levels - 1)
        e = torch.logit(z * self.levels - x)
        given = self._told(x, context) if self.noise.context_shape else None
        log_prob = self.noise.log_prob(e, given, generator=generator)
        return x, log_prob - self._slope(e) + self._log_volume()

    def _told(self, x: Tensor, context: Tensor | None) -> Tensor:
        given = context if self.context_shape else None
        return told(2 * x / (self.levels - 1) - 1, given, len(self.event_shape))

    def _slope(self, e: Tensor) -> Tensor:
        """Log du/de, summed."""
        return as_rows(logsigmoid(e) + logsigmoid(-e), self.event_shape).sum(-1)

    def _log_volume(self) -> float:
        return prod(self.event_shape) * math.log(self.levels)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{super().extra_repr()}, levels={self.levels}"


class VAELayer(Transform):
    r"""A variational autoencoder as a layer: stochastic both ways.

    .. math:: z \sim q(z \mid x), \qquad \mathrm{term} = \log p(x \mid z) - \log q(z \mid x)

    A base over z then gives the evidence lower bound. ``decode`` draws x from p(x|z).

    Args:
        encoder: q, over latents, whose context is a data point.
        decoder: p, over data points, whose context is a latent.

    Raises:
        ValueError: where one's event is not the other's context.

    Source: Kingma, Welling (2013), arXiv:1312.6114; as a layer: Nielsen et al. (2020), "SurVAE
    Flows", arXiv:2007.02731.

    Example:
        >>> from anabranch.distributions import DiagonalNormal
        >>> q, p = DiagonalNormal(1, context_features=4), DiagonalNormal(4, context_features=1)
        >>> z, term = VAELayer(q, p).encode(torch.zeros(5, 4))
        >>> z.shape, term.shape
        (torch.Size([5, 1]), torch.Size([5]))
    """

    exact = False
    stochastic = True
    bijective = False

    def __init__(self, encoder: Distribution, decoder: Distribution) -> None:
        for giver, taker, names in (
            (decoder, encoder, ("decoder", "encoder")),
            (encoder, decoder, ("encoder", "decoder")),
        ):
            if giver.event_shape != taker.context_shape:
                raise ValueError(
                    f"VAELayer: the {names[0]} gives {giver.event_shape}, "
                    f"the {names[1]} takes a context of shape {taker.context_shape}"
                )
        if encoder.batch_shape != decoder.batch_shape:
            raise ValueError(
                f"VAELayer: the encoder has batch shape {encoder.batch_shape}, "
                f"the decoder {decoder.batch_shape}"
            )
        super().__init__(decoder.event_shape, encoder.event_shape, batch_shape=encoder.batch_shape)
        self.encoder, self.decoder = encoder, decoder
        self.domain, self.codomain = decoder.domain, encoder.domain

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        z, log_q = self.encoder.rsample_and_log_prob((), x, generator)
        return z, self.decoder.log_prob(x, z, generator=generator) - log_q

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        x, log_p = self.decoder.rsample_and_log_prob((), z, generator)
        return x, self.encoder.log_prob(z, x, generator=generator) - log_p

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        z = self.encoder.rsample((), x, generator)
        self.encoder.initialize(z, x, generator=generator)
        self.decoder.initialize(x, z, generator=generator)
