"""Invertible convolutions."""

import torch
from torch import Generator, Tensor

from anabranch.contracts.transform import Pair, Transform
from anabranch.functional.shapes import Shape
from anabranch.transforms.linear import LULinear
from anabranch.transforms.normalization import ActNorm
from anabranch.transforms.reshaping import image_shape


class InvertibleConv(Transform):
    r"""A linear map of the channels, the same at each pixel: a convolution of 1 x 1.

    .. math:: z_{ij} = P L (U + \operatorname{diag}(s))\, x_{ij}, \qquad
        \mathrm{term} = H W \sum_c \log|s_c|

    With ``actnorm`` an `ActNorm` of the channels comes first; both together cost one convolution.

    Args:
        event_shape: (C, H, W).
        bound: as of `LULinear`; by default none, so that it is any invertible matrix.
        rotation: start at a random rotation, which the generator draws, and not at the identity.
        actnorm: whether channels are normalised before, set from data once.
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
        actnorm: bool = False,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        channels, height, width = image_shape(event_shape)
        super().__init__(event_shape, batch_shape=batch_shape)
        self.pixels = height * width
        self.norm = ActNorm(event_shape, batch_shape=batch_shape) if actnorm else None
        self.linear = LULinear(
            channels,
            bound=bound,
            rotation=rotation,
            batch_shape=batch_shape,
            generator=generator,
        )

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        matrix, log_det = self.linear.matrix(), self.linear.log_det()
        if self.norm is None:
            return self._at_each_pixel(x, matrix, None, log_det)
        log_scale, loc = self.norm.log_factor().flatten(-3), self.norm.loc.flatten(-3)
        matrix = matrix * log_scale.exp()
        shift = -(matrix @ loc.mT)
        return self._at_each_pixel(x, matrix, shift, log_det + log_scale.sum((-2, -1)))

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        matrix, log_det = self.linear.inverse_matrix(), -self.linear.log_det()
        if self.norm is None:
            return self._at_each_pixel(z, matrix, None, log_det)
        log_scale, loc = self.norm.log_factor().flatten(-3), self.norm.loc.flatten(-3)
        matrix = matrix * torch.exp(-log_scale).mT
        return self._at_each_pixel(z, matrix, loc.mT, log_det - log_scale.sum((-2, -1)))

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        if self.norm is not None:
            self.norm._initialize(x, context, generator)

    def _at_each_pixel(
        self, x: Tensor, matrix: Tensor, shift: Tensor | None, log_det: Tensor
    ) -> Pair:
        """Multiply the channels of all pixels by (*batch, C, C) and add (*batch, C, 1)."""
        columns, n = x.flatten(-2), x.shape[-4]
        if self.batch_shape or x.ndim > 4:
            y = matrix.unsqueeze(-3) @ columns
            y = y if shift is None else y + shift.unsqueeze(-3)
        elif shift is None:
            y = torch.bmm(matrix.expand(n, -1, -1), columns)
        else:
            y = torch.baddbmm(shift.expand(n, -1, -1), matrix.expand(n, -1, -1), columns)
        y = y.unflatten(-1, x.shape[-2:])
        return y, (self.pixels * log_det).unsqueeze(-1).expand(y.shape[:-3])
