"""Invertible convolutions."""

from math import prod

from torch import Generator, Tensor

from anabranch.contracts.transform import Pair, Transform
from anabranch.functional.shapes import Shape
from anabranch.transforms.linear import LULinear
from anabranch.transforms.reshaping import image_shape


class InvertibleConv(Transform):
    r"""A linear map of the channels, the same at each pixel: a convolution of 1 x 1.

    .. math:: z_{ij} = P L (U + \operatorname{diag}(s))\, x_{ij}, \qquad
        \mathrm{term} = H W \sum_c \log|s_c|

    Args:
        event_shape: (C, H, W).
        bound: as of `LULinear`; by default none, so that it is any invertible matrix.
        rotation: start at a random rotation, which the generator draws, and not at the identity.
        batch_shape: the component axis.
        generator: source of the start.

    Raises:
        ValueError: for a shape that is no image's, or a bound with a rotation.

    Source: Kingma, Dhariwal (2018), "Glow", arXiv:1807.03039.

    Example:
        >>> import torch
        >>> conv = InvertibleConv((3, 4, 4), rotation=True)
        >>> x = torch.randn(2, 3, 4, 4)
        >>> z, term = conv.encode(x)
        >>> torch.allclose(z.square().sum((1, 2, 3)), x.square().sum((1, 2, 3)), rtol=1e-4)
        True
    """

    def __init__(
        self,
        event_shape: Shape,
        *,
        bound: float | None = None,
        rotation: bool = False,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        channels, height, width = image_shape(event_shape)
        super().__init__(event_shape, batch_shape=batch_shape)
        self.pixels = prod((height, width))
        self.linear = LULinear(
            channels,
            bound=bound,
            rotation=rotation,
            batch_shape=batch_shape,
            generator=generator,
        )

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self._at_each_pixel(x, self.linear.matrix(), self.linear.log_det())

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self._at_each_pixel(z, self.linear.inverse_matrix(), -self.linear.log_det())

    def _at_each_pixel(self, x: Tensor, matrix: Tensor, log_det: Tensor) -> Pair:
        y = (matrix.unsqueeze(-3) @ x.flatten(-2)).unflatten(-1, x.shape[-2:])
        return y, (self.pixels * log_det).unsqueeze(-1).expand(y.shape[:-3])
