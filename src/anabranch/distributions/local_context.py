"""Autoregressive images whose pixels look at their nearest neighbours."""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy, linear

from anabranch.contracts.distribution import Distribution
from anabranch.contracts.domain import Integers
from anabranch.functional.neighbours import Neighbourhood
from anabranch.functional.pixel_logits import median_edge, pixel_logits
from anabranch.functional.shapes import Shape
from anabranch.networks import Linear

ROWS = 8192  # places that are looked at together


class LocalContext(Distribution):
    r"""A pixel's levels from those around it that were read before, from its place, and from the
    levels that its image has shown.

    .. math:: p(x) = \prod_t \mathrm{softmax}_v\big(a_v + r_{v - \hat x_t} + g\, 1[v \in x_{<t}]
        \big)_{x_t}, \qquad
        (a, r, g) = f\big(\tfrac{x_{N(t)} - m}{m},\; e_t,\; h,\; 1[v \in x_{<t}]_v\big)

    N(t) are the nearest places before t, :math:`e_t` a few learned numbers of the place (a bias of
    low rank), h the context, m half of the levels, :math:`\hat x_t` the median-edge prediction. One
    network f with ReLU serves all places. A density takes one pass over all places at once, a
    sample one turn a place, for all images side by side. That levels come back is what tells images
    whose contrast was stretched, or that were drawn.

    Args:
        event_shape: (height, width) or (height, width, channels).
        levels: pixels are whole numbers 0..levels-1, at most 256.
        n_neighbours: how many neighbours are looked at.
        hidden: sizes of the hidden layers.
        n_codes: numbers :math:`e_t` of a place.
        reach: of r to either side.
        n_mirrored: neighbours of the mirrored place that are looked at, too: for images of things
            that are alike at left and right.
        context_features: numbers of the context h, 0 for none.
        generator: source of the initial weights.

    Raises:
        ValueError: for another shape, levels outside 2..256, or no hidden layer.

    Source: the local context is that of lossless image coders, such as Meyer, Tischer (1997),
    "TMW", with a network as in van den Oord, Kalchbrenner, Kavukcuoglu (2016), "Pixel recurrent
    neural networks", arXiv:1601.06759.

    Example:
        >>> model = LocalContext((4, 4), levels=2, n_neighbours=6, hidden=[8])
        >>> round(model.log_prob(torch.zeros(1, 4, 4)).item(), 3)  # 16 fair coins
        -11.09
    """

    def __init__(
        self,
        event_shape: Shape,
        *,
        levels: int = 256,
        n_neighbours: int = 84,
        hidden: Sequence[int] = (160, 96),
        n_codes: int = 8,
        reach: int = 32,
        n_mirrored: int = 0,
        context_features: int = 0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(event_shape, context_shape=context_features)
        if not 2 <= levels <= 256:
            raise ValueError(f"levels must be from 2 to 256, got {levels}")
        if not hidden:
            raise ValueError("hidden must name at least one hidden layer")
        if reach < 0:
            raise ValueError(f"reach must be at least 0, got {reach}")
        self.neighbourhood = Neighbourhood(self.event_shape, n_neighbours, n_mirrored)
        self.levels, self.domain = levels, Integers(levels)
        size = self.neighbourhood.size
        draws = torch.empty(size, n_codes)
        self.codes = nn.Parameter(0.3 * draws.normal_(generator=generator))
        inputs = self.neighbourhood.n_values + n_codes + context_features + levels
        sizes = [inputs, *hidden]
        self.layers = nn.ModuleList(Linear(a, b, generator=generator) for a, b in pairwise(sizes))
        self.last = Linear(sizes[-1], levels + 2 * reach + 2, zero=True, generator=generator)
        with torch.no_grad():  # many inputs that are seldom on would drown those that always are
            self.hidden_layers[0].weight[:, -levels:] = 0

    @property
    def hidden_layers(self) -> list[Linear]:
        """The layers before the last one."""
        return [cast("Linear", layer) for layer in self.layers]

    @property
    def middle(self) -> int:
        """Half of the levels, by which pixels are centred and scaled."""
        return max(self.levels // 2, 1)

    def places_log_prob(self, x: Tensor, places: Tensor, context: Tensor | None = None) -> Tensor:
        r"""Log-probabilities of some places, given all that were read before each.

        Args:
            x: (n, \*event_shape).
            places: (m,) numbers of places.
            context: (n, context_features), where it takes one.

        Returns:
            (n, m), in nats.
        """
        pixels = x.flatten(1)
        logits = self._logits(pixels, places, context)
        levels = pixels[:, places].long().unsqueeze(-1)
        # cross_entropy has one kernel for both of its parts
        flat = cross_entropy(logits.flatten(0, 1), levels.flatten(), reduction="none")
        return -flat.view(x.shape[0], len(places))

    def place_log_probs(self, x: Tensor, places: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-probabilities of all levels at some places, (n, m, levels), in nats.

        Arguments as of `places_log_prob`.
        """
        return self._logits(x.flatten(1), places, context).log_softmax(-1)

    def hidden_values(
        self, x: Tensor, places: Tensor, context: Tensor | None = None
    ) -> list[Tensor]:
        """The values of all hidden layers, (n m, units) each, of images and some of their places.

        Arguments as of `places_log_prob`.
        """
        return self._hidden(self._inputs(x.flatten(1), places, context)[0])

    def _hidden(self, inputs: Tensor) -> list[Tensor]:
        found = [inputs]
        for layer in self.hidden_layers:
            # rows, not columns as elsewhere: their products are the quicker ones in bfloat16
            found.append(linear(found[-1], layer.weight, layer.bias[:, 0]).relu())
        return found[1:]

    def _inputs(
        self, pixels: Tensor, places: Tensor, context: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the network sees, the levels seen, and those predicted: n m rows."""
        near = self.neighbourhood
        canvas = near.padded(pixels)
        around = canvas[:, near.index.to(places.device)[places]] / self.middle - 1
        first = first_places(pixels.long(), self.levels)
        seen = (first.unsqueeze(1) < places.view(1, -1, 1)).to(pixels.dtype)
        given = [self.codes[places].expand(len(pixels), -1, -1)]
        if context is not None and context.shape[-1]:
            given.append(context.unsqueeze(1).expand(-1, len(places), -1))
        nearest = canvas[:, near.nearest.to(places.device)[:, places]].long().unbind(1)
        inputs = torch.cat([around, *given, seen], -1)
        return inputs.flatten(0, 1), seen.flatten(0, 1), median_edge(*nearest).flatten()

    def _logits(self, pixels: Tensor, places: Tensor, context: Tensor | None) -> Tensor:
        """Logits of all levels, (n, m, levels), from flat images."""
        inputs, seen, predicted = self._inputs(pixels, places, context)
        h = self._hidden(inputs)[-1]
        outputs = linear(h, self.last.weight, self.last.bias[:, 0]).to(pixels.dtype)
        logits = pixel_logits(outputs, predicted, seen)
        return logits.view(pixels.shape[0], len(places), self.levels)

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        places = torch.arange(self.neighbourhood.size, device=x.device)
        step = max(1, ROWS // len(places))
        parts = [
            self.places_log_prob(
                x[first : first + step],
                places,
                None if context is None else context[first : first + step],
            ).sum(-1)
            for first in range(0, len(x), step)
        ]
        return torch.cat(parts) if parts else x.new_zeros(0)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        pixels = self.codes.new_zeros(n, self.neighbourhood.size)
        for place in range(self.neighbourhood.size):
            here = torch.tensor([place], device=pixels.device)
            probabilities = self._logits(pixels, here, context)[:, 0].softmax(-1)
            drawn = torch.multinomial(probabilities, 1, generator=generator)
            pixels[:, place] = drawn[:, 0].to(pixels.dtype)
        return pixels.view(n, *self.event_shape)


def first_places(pixels: Tensor, levels: int) -> Tensor:
    """The first place of each level in each image; one behind the last where it has none.

    Args:
        pixels: (n, places) whole numbers.
        levels: how many.

    Returns:
        (n, levels).

    Example:
        >>> first_places(torch.tensor([[2, 0, 2]]), 3)
        tensor([[1, 3, 0]])
    """
    n, size = pixels.shape
    places = torch.arange(size, device=pixels.device).expand(n, -1)
    first = pixels.new_full((n, levels), size)
    return first.scatter_reduce(1, pixels, places, "amin")
