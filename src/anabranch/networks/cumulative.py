"""Networks whose value is a distribution function, and whose mixed derivative is a density."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from anabranch.functional.nested_duals import lift, sigmoid
from anabranch.functional.numbers import check_sizes

MOST_FEATURES = 8  # the products of 2^D coefficients take 3^D multiplications
SPREAD, STEEP = 2.0, 3.0  # of the units at the start: where they rise, and their weights


class CumulativeNetwork(nn.Module):
    r"""A distribution function of several variables as a network of sigmoids.

    .. math:: H(x) = \sigma\bigl(v^\top \sigma(W x + b) + c\bigr), \qquad
        h(x) = \frac{\partial^D H}{\partial x_1 \cdots \partial x_D}

    H lies between 0 and 1. That it rises is left to training with a penalty, see
    `anabranch.objectives.PenalisedCumulative`, or with ``increasing`` all weights are positive: H
    then rises in each coordinate. In one dimension that makes h a density; in more, h may still be
    negative, and how much of it is can be counted. Its limits are near 0 and 1 only. For a
    density in one dimension without such reserves take the recipe `anabranch.models.sic`.

    Args:
        features: D, up to 8.
        hidden: sizes of the hidden layers, one at least.
        increasing: whether all weights are positive.
        generator: source of the initial weights, for data of about unit scale.

    Raises:
        ValueError: for more than 8 features, or sizes that are none.

    Source: Magdon-Ismail, Atiya (2002), "Density estimation and random variate generation using
    multilayer networks", IEEE Transactions on Neural Networks 13.

    Example:
        >>> network = CumulativeNetwork(2, increasing=True)
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 2.0]])
        >>> low, high = network(x)
        >>> bool(low < high), network.density(x).shape
        (True, torch.Size([2]))
    """

    def __init__(
        self,
        features: int,
        hidden: Sequence[int] = (10,),
        *,
        increasing: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= features <= MOST_FEATURES:
            raise ValueError(f"features must be between 1 and {MOST_FEATURES}, got {features}")
        check_sizes("hidden", hidden, empty=False)
        self.features, self.increasing = features, increasing
        sizes = [features, *hidden, 1]
        raw = [torch.rand(b, a, generator=generator) for a, b in pairwise(sizes)]
        # rising at first, as steep as bends of the data are
        steep = [STEEP * r / r.mean(-1, keepdim=True) / r.shape[-1] ** 0.5 for r in raw]
        self.weights = nn.ParameterList([w.log() if increasing else w for w in steep])
        # and each unit in its middle somewhere among the values that it sees
        places = [torch.rand(b, generator=generator) for b in sizes[1:]]
        self.biases = nn.ParameterList(
            [SPREAD * STEEP * (2 * places[0] - 1)]
            + [-p * w.sum(-1) for p, w in zip(places[1:], steep[1:], strict=True)]
        )

    def forward(self, x: Tensor) -> Tensor:
        """H at rows x (N, D), of shape (N,)."""
        return self._run(x.unsqueeze(0))[0]

    def density(self, x: Tensor) -> Tensor:
        """H at rows x (N, D), of shape (N,); exact, and of any sign unless D = 1 and H rises."""
        return self._run(lift(x))[-1]

    def cumulative_and_density(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """H and h at rows x (N, D), (N,) each, by one pass."""
        both = self._run(lift(x))
        return both[0], both[-1]

    def _run(self, value: Tensor) -> Tensor:
        for weight, bias in zip(self.weights, self.biases, strict=True):
            matrix = weight.exp() if self.increasing else weight
            value = value @ matrix.mT
            value = sigmoid(torch.cat((value[:1] + bias, value[1:])))
        return value.squeeze(-1)

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{self.features}, increasing={self.increasing}"
