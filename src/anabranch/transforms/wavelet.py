"""Orthonormal wavelets: half the height and width, four times the channels."""

import math

import torch
from torch import Generator, Tensor

from anabranch.contracts.transform import Pair, Transform
from anabranch.functional.shapes import Shape
from anabranch.transforms.reshaping import check_divides, image_shape

ROOT3 = math.sqrt(3)
FILTERS: dict[str, tuple[float, ...]] = {
    "haar": (1 / math.sqrt(2), 1 / math.sqrt(2)),
    "db2": tuple(tap / (4 * math.sqrt(2)) for tap in (1 + ROOT3, 3 + ROOT3, 3 - ROOT3, 1 - ROOT3)),
}


class Wavelet(Transform):
    r"""One level of an orthonormal wavelet transform, (C, H, W) to (4 C, H/2, W/2), term zero.

    .. math:: l_i = \sum_k h_k\, x_{2i + k}, \qquad d_i = \sum_k (-1)^k h_{n - 1 - k}\, x_{2i + k}

    along the width, then along the height, with indices that go round. Channel c becomes four: its
    means (low, low), and its details along the width, the height and both. Where `Squeeze` only
    arranges pixels, the first of the four is a smaller image here.

    Args:
        event_shape: (C, H, W) with even H and W.
        name: of the filter h, "haar" (two taps) or "db2" (four, by Daubechies).

    Raises:
        ValueError: for an unknown name, a shape that is no image's, or odd sides.

    Source: Mallat (1989); Daubechies (1988), "Orthonormal bases of compactly supported wavelets";
    in flows: Ardizzone et al. (2019), arXiv:1907.02392.

    Example:
        >>> image = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
        >>> Wavelet((1, 2, 2)).encode(image)[0].flatten().round(decimals=3)
        tensor([ 5., -1., -2.,  0.])
    """

    def __init__(self, event_shape: Shape, name: str = "haar") -> None:
        channels, height, width = image_shape(event_shape)
        check_divides(2, height, width)
        if name not in FILTERS:
            raise ValueError(f"name must be one of {sorted(FILTERS)}, got {name!r}")
        super().__init__(event_shape, (4 * channels, height // 2, width // 2))
        self.low = FILTERS[name]
        self.high = tuple(tap * (-1) ** k for k, tap in enumerate(reversed(self.low)))

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        rows = torch.stack(self._analysed(x), -3)  # (.., C, 2, H, W/2): means, details
        parts = torch.stack(self._analysed(rows.mT), -4)  # (.., C, 2, 2, W/2, H/2)
        return parts.mT.flatten(-5, -3), x.new_zeros(x.shape[:-3])

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        low, high = z.unflatten(-3, (-1, 2, 2)).mT.unbind(-4)
        low, high = self._synthesised(low, high).mT.unbind(-3)
        return self._synthesised(low, high), z.new_zeros(z.shape[:-3])

    def _analysed(self, x: Tensor) -> Pair:
        """Means and details along the last axis, half as long each."""
        shifted = torch.stack([x.roll(-k, -1)[..., ::2] for k in range(len(self.low))], -1)
        return shifted @ shifted.new_tensor(self.low), shifted @ shifted.new_tensor(self.high)

    def _synthesised(self, low: Tensor, high: Tensor) -> Tensor:
        """The transpose, which undoes an orthonormal map."""
        x = torch.zeros_like(torch.cat((low, high), -1))
        for k, (a, b) in enumerate(zip(self.low, self.high, strict=True)):
            part = a * low + b * high
            x = x + torch.stack((part, torch.zeros_like(part)), -1).flatten(-2).roll(k, -1)
        return x

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{super().extra_repr()}, taps={len(self.low)}"
