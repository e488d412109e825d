"""Rotation: an orthogonal matrix, fixed or learned."""

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.domain import REAL, Domain
from anabranch.contracts.transform import Transform
from anabranch.functional.shapes import Shape, expand_batch


class Rotation(Transform):
    r"""Multiply by a random orthogonal matrix: :math:`z = Q x`, term 0.

    Q is a buffer, which is saved and not trained. It is drawn uniformly (Haar). A learned rotation
    is :math:`z = Q e^{A - A^\top} x` with a free matrix A, zero at first.

    Args:
        features: D.
        learned: whether a rotation that is trained comes before the fixed one.
        domain: of the points: the line for vectors, or the sphere, which it keeps.
        batch_shape: the component axis; each component has its own matrix.
        generator: source of the matrix.

    Source of the sampling: Mezzadri (2007), arXiv:math-ph/0609050.

    Example:
        >>> rotation = Rotation(3, generator=torch.Generator().manual_seed(0))
        >>> z, term = rotation.encode(torch.tensor([[3.0, 4.0, 0.0]]))
        >>> torch.linalg.vector_norm(z), term
        (tensor(5.), tensor([0.]))
    """

    matrix: Tensor

    def __init__(
        self,
        features: int,
        *,
        learned: bool = False,
        domain: Domain = REAL,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        self.domain = self.codomain = domain
        noise = torch.randn(
            *batch_shape, features, features, generator=generator, dtype=torch.float64
        )
        self.register_buffer("matrix", orthogonal(noise).float())
        shape = (*batch_shape, features, features)
        self.turn = nn.Parameter(torch.zeros(shape)) if learned else None

    def _rotation(self) -> Tensor:
        # one Newton-Schulz step: orthogonal in double precision too, if stored in single
        fixed = 1.5 * self.matrix - 0.5 * self.matrix @ (self.matrix.mT @ self.matrix)
        return fixed if self.turn is None else fixed @ torch.matrix_exp(self.turn - self.turn.mT)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        z = expand_batch(x, self.batch_shape, 1) @ self._rotation().mT
        return z, z.new_zeros(z.shape[:-1])

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        x = expand_batch(z, self.batch_shape, 1) @ self._rotation()
        return x, x.new_zeros(x.shape[:-1])


def orthogonal(noise: Tensor) -> Tensor:
    """A uniform orthogonal matrix of normal noise (..., D, D).

    Example:
        >>> q = orthogonal(torch.randn(3, 3, dtype=torch.float64))
        >>> torch.allclose(q @ q.mT, torch.eye(3, dtype=torch.float64))
        True
    """
    q, r = torch.linalg.qr(noise)
    return q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
