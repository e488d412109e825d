"""Images as a product of one distribution for each of their numbers."""

from collections.abc import Iterator
from math import prod

import torch
from torch import Generator, Tensor

from anabranch.contracts.context import needed_context
from anabranch.contracts.distribution import Distribution
from anabranch.distributions.autoregressive import refuse_gradients
from anabranch.distributions.heads import Head
from anabranch.distributions.levels import Tempered
from anabranch.functional import check_dtype
from anabranch.networks.pixel_network import PixelNetwork

# Numbers in a feature map of all images that are evaluated at once without gradients.
AT_ONCE = 2**22


class PixelModel(Distribution):
    r"""A distribution of images, pixel after pixel and colour after colour.

    .. math:: p(x \mid s) = \prod_{r,c,g} h(x_{grc}; \theta_{grc}(x_{<(r,c,g)}, s))

    The log-probability takes one pass of the network. A sample goes through the pixels; only what
    is new at each of them is computed.

    Args:
        network: gives the parameters :math:`\theta`, made with ``head.n_params`` of them.
        head: the distribution h of one number.

    Attributes:
        half_precision: whether the network is evaluated in bfloat16 in training, which modern
            processors do several times as fast; the head is not, nor is anything in evaluation.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), "Pixel recurrent neural networks",
    arXiv:1601.06759.

    Example:
        >>> from anabranch.distributions import Bernoulli
        >>> from anabranch.networks import GatedPixels, PixelSizes
        >>> model = PixelModel(GatedPixels(PixelSizes((3, 3), n_params=1, channels=4)), Bernoulli())
        >>> model.log_prob(torch.ones(1, 1, 3, 3)).detach()  # 9 log 2
        tensor([-6.2383])
    """

    def __init__(self, network: PixelNetwork, head: Head) -> None:
        sizes = network.sizes
        super().__init__(sizes.image_shape, context_shape=sizes.context_shape)
        self.network, self.head, self.domain = network, head, head.domain
        self.half_precision = False

    def tempered(self, temperature: float) -> "PixelModel":
        """The same network with each number's distribution at a temperature; see `Tempered`.

        Raises:
            ValueError: for a temperature that is not positive.

        Example:
            >>> from anabranch.models import pixelcnn
            >>> pixelcnn((4, 4), channels=4, n_blocks=1).tempered(0.5).sample(2).shape
            torch.Size([2, 1, 4, 4])
        """
        head = self.head.head if isinstance(self.head, Tempered) else self.head
        return PixelModel(self.network, Tempered(head, temperature))  # pyright: ignore[reportArgumentType] - heads of levels are those there are

    @torch.no_grad()
    def complete(
        self,
        x: Tensor,
        rows: int,
        context: Tensor | None = None,
        generator: Generator | None = None,
    ) -> Tensor:
        r"""Keep the first rows of images and draw the rest, given these: exact inpainting.

        Args:
            x: images (..., C, H, W), whose rows below are not looked at.
            rows: how many rows from the top are given, 0..H.
            context: (..., \*context_shape).
            generator: source of randomness; torch's default where None.

        Raises:
            ValueError: for a wrong shape, rows outside 0..H, or given numbers that are no level.
            TypeError: for a dtype other than the model's.

        Example:
            >>> from anabranch.models import pixelcnn
            >>> model = pixelcnn((4, 4), channels=4, n_blocks=1)
            >>> model.complete(torch.ones(2, 1, 4, 4), rows=2)[:, 0, 1]
            tensor([[1., 1., 1., 1.],
                    [1., 1., 1., 1.]])
        """
        if not 0 <= rows <= self.event_shape[1]:
            raise ValueError(f"rows must be in 0..{self.event_shape[1]}, got {rows}")
        check_dtype(self, x, "x")
        x, context, lead = self._canonical(x, context)
        given = x[..., :rows, :]
        if not bool(self.domain.contains(given).all()):
            raise ValueError(f"the given rows of x must hold {self.domain} only")
        drawn = self.network.in_turn(self._draw(generator), x, context, start=rows)
        return drawn.reshape(*lead, *self.event_shape)

    def parameters_of(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        r"""The head's parameters of every number, (n_params, N, C, H, W), for x (N, C, H, W)."""
        context = needed_context(self, self.context_shape, context)
        if not (self.half_precision and self.training):
            return self.network(x, context)
        with torch.autocast(x.device.type, torch.bfloat16):
            return self.network(x, context).to(x.dtype)

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        whole = torch.compiler.is_exporting() or not x.shape[0]
        if torch.is_grad_enabled() or whole:
            return self._log_prob_of(x, context)
        return torch.cat([self._log_prob_of(*part) for part in self._parts(x, context)])

    def _log_prob_of(self, x: Tensor, context: Tensor | None) -> Tensor:
        return self.head.log_prob(x, self.parameters_of(x, context)).flatten(1).sum(1)

    def _parts(self, x: Tensor, context: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None]]:
        """As many images at once as need little memory."""
        width = max(self.network.sizes.channels, self.head.n_params)
        size = max(AT_ONCE // (width * prod(self.event_shape[1:])), 1)
        contexts = (None,) * -(-len(x) // size) if context is None else context.split(size)
        return zip(x.split(size), contexts, strict=True)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        refuse_gradients(self.head)
        like = next(self.parameters()).new_empty(n, *self.event_shape)
        return self.network.in_turn(self._draw(generator), like, context)

    def _draw(self, generator: Generator | None):  # noqa: ANN202 - a function of parameters
        return lambda params: self.head.sample(params, generator)
