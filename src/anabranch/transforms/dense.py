"""Linear maps that are matrices as they are, and the cosine transform."""

import math
from collections.abc import Callable
from typing import Self

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.transform import Transform
from anabranch.functional import expand_batch
from anabranch.functional.shapes import Shape
from anabranch.transforms.rotation import orthogonal


class DenseLinear(Transform):
    r"""A linear map by a free matrix: :math:`z = A x`, term :math:`\log|\det A|`.

    The determinant and the inverse cost O(D³), once for each batch; with gradients off they are
    kept until the matrix changes. Nothing keeps it from becoming singular: `LULinear` is safe.

    Args:
        features: D.
        batch_shape: the component axis.
        generator: source of the rotation it starts at; None for the identity.

    Example:
        >>> DenseLinear(2).encode(torch.tensor([[1.0, 2.0]]))[0].detach()
        tensor([[1., 2.]])
    """

    def __init__(
        self, features: int, *, batch_shape: Shape = (), generator: Generator | None = None
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        shape = (*batch_shape, features, features)
        start = torch.eye(features).expand(shape).clone()
        if generator is not None:
            start = orthogonal(torch.randn(shape, generator=generator, dtype=torch.float64)).float()
        self.matrix = nn.Parameter(start)
        self._kept: tuple[tuple[object, ...], Tensor, Tensor] | None = None

    def _inverse_and_log_det(self) -> tuple[Tensor, Tensor]:
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return torch.linalg.inv(self.matrix), torch.linalg.slogdet(self.matrix)[1]
        # of this tensor, as it is now
        key = self.matrix.data_ptr(), self.matrix._version, self.matrix.shape
        if self._kept is None or self._kept[0] != key:
            log_det = torch.linalg.slogdet(self.matrix)[1]
            self._kept = key, torch.linalg.inv(self.matrix), log_det
        return self._kept[1:]

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        z = expand_batch(x, self.batch_shape, 1) @ self.matrix.mT
        if torch.is_grad_enabled():
            log_det = torch.linalg.slogdet(self.matrix)[1]
        else:
            log_det = self._inverse_and_log_det()[1]
        return z, log_det.unsqueeze(-1).expand(z.shape[:-1])

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        inverse, log_det = self._inverse_and_log_det()
        x = expand_batch(z, self.batch_shape, 1) @ inverse.mT
        return x, -log_det.unsqueeze(-1).expand(x.shape[:-1])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self._kept = None  # another dtype, or another device
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_kept": None}


class DCT(Transform):
    r"""The orthonormal discrete cosine transform of a vector, term zero.

    .. math:: z_k = \sqrt{\tfrac{2 - [k = 0]}{D}} \sum_{d=0}^{D-1} x_d
        \cos\frac{\pi k (2d + 1)}{2D}

    Args:
        features: D.

    Source: Ahmed, Natarajan, Rao (1974), "Discrete cosine transform", IEEE Transactions on
    Computers C-23.

    Example:
        >>> DCT(4).encode(torch.ones(1, 4))[0].round(decimals=4).abs()
        tensor([[2., 0., 0., 0.]])
    """

    matrix: Tensor

    def __init__(self, features: int) -> None:
        super().__init__((features,))
        k = torch.arange(features, dtype=torch.float64).unsqueeze(-1)
        rows = torch.cos(math.pi * k * (2 * k.mT + 1) / (2 * features)) * (2 / features) ** 0.5
        rows[0] /= 2**0.5
        self.register_buffer("matrix", rows.float(), False)

    def _rotation(self) -> Tensor:
        # one Newton-Schulz step: orthogonal in double precision too, if stored in single
        return 1.5 * self.matrix - 0.5 * self.matrix @ (self.matrix.mT @ self.matrix)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        return x @ self._rotation().mT, x.new_zeros(x.shape[:-1])

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        return z @ self._rotation(), z.new_zeros(z.shape[:-1])
