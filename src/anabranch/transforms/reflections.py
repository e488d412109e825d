"""Linear maps of products of reflections: orthogonal, QR and SVD."""

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.transform import Transform
from anabranch.functional import bounded, expand_batch
from anabranch.functional.numbers import check_positive, check_whole
from anabranch.functional.shapes import Shape


class HouseholderProduct(Transform):
    r"""A product of reflections: any orthogonal matrix where there are D of them.

    .. math:: z = H_1 \cdots H_r\, x, \qquad H_i = I - 2 \frac{v_i v_i^\top}{|v_i|^2}, \qquad
        \mathrm{term} = 0

    Args:
        features: D.
        n_reflections: r; D by default.
        batch_shape: the component axis.
        generator: source of the vectors.

    Raises:
        ValueError: for fewer than one reflection.

    Source: Tomczak, Welling (2016), "Improving variational auto-encoders using Householder flow",
    arXiv:1611.09630.

    Example:
        >>> reflections = HouseholderProduct(3, generator=torch.Generator().manual_seed(0))
        >>> z, _ = reflections.encode(torch.tensor([[3.0, 4.0, 0.0]]))
        >>> z.norm().detach().round(decimals=3)
        tensor(5.)
    """

    def __init__(
        self,
        features: int,
        *,
        n_reflections: int | None = None,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        self.n_reflections = features if n_reflections is None else n_reflections
        check_whole(self, ("n_reflections",), 1)
        shape = (*batch_shape, self.n_reflections, features)
        self.vectors = nn.Parameter(torch.randn(shape, generator=generator))

    def matrix(self) -> Tensor:
        """The orthogonal matrix, (*batch_shape, D, D)."""
        vectors = nn.functional.normalize(self.vectors, dim=-1)
        eye = torch.eye(vectors.shape[-1], dtype=vectors.dtype, device=vectors.device)
        q = eye.expand(*vectors.shape[:-2], *eye.shape)
        for v in vectors.unbind(-2):
            v = v.unsqueeze(-1)
            q = q - 2 * (q @ v) @ v.mT
        return q

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        z = expand_batch(x, self.batch_shape, 1) @ self.matrix().mT
        return z, z.new_zeros(z.shape[:-1])

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        x = expand_batch(z, self.batch_shape, 1) @ self.matrix()
        return x, x.new_zeros(x.shape[:-1])


class QRLinear(Transform):
    r"""An invertible linear map as a product of reflections and a triangular matrix.

    .. math:: z = Q\, (\operatorname{diag}(e^{s}) + R)\, x, \qquad \mathrm{term} = \sum_d s_d

    R is strictly upper triangular.

    Args:
        features: D.
        n_reflections: reflections in Q; D by default.
        bound: limit of the log-scales.
        batch_shape: the component axis.
        generator: source of the reflections.

    Raises:
        ValueError: for fewer than one reflection, or a bound that is not positive.

    Source: Hoogeboom, van den Berg, Welling (2019), "Emerging convolutions for generative
    normalizing flows", arXiv:1901.11137.

    Example:
        >>> QRLinear(3).encode(torch.zeros(1, 3))[1].detach()
        tensor([0.])
    """

    def __init__(
        self,
        features: int,
        *,
        n_reflections: int | None = None,
        bound: float = 3.0,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        self.bound = bound
        check_positive(self, ("bound",))
        how = {"n_reflections": n_reflections, "batch_shape": batch_shape, "generator": generator}
        self.rotation = HouseholderProduct(features, **how)
        self.log_scale = nn.Parameter(torch.zeros(*batch_shape, 1, features))
        self.upper = nn.Parameter(torch.zeros(*batch_shape, features, features))

    def _triangle(self, log_scale: Tensor) -> Tensor:
        """The upper triangular factor, rows in units of their diagonal numbers."""
        limit = 1 / max(1.0, (self.event_shape[0] - 1) ** 0.5)
        eye = torch.eye(self.event_shape[0], dtype=log_scale.dtype, device=log_scale.device)
        return (eye + bounded(self.upper, limit).triu(1)) * log_scale.exp().mT

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        log_scale = bounded(self.log_scale, self.bound)
        matrix = self.rotation.matrix() @ self._triangle(log_scale)
        z = expand_batch(x, self.batch_shape, 1) @ matrix.mT
        return z, log_scale.sum(-1).expand(z.shape[:-1])

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        log_scale = bounded(self.log_scale, self.bound)
        turned = expand_batch(z, self.batch_shape, 1) @ self.rotation.matrix()
        solved = torch.linalg.solve_triangular(self._triangle(log_scale), turned.mT, upper=True)
        x = solved.mT
        return x, -log_scale.sum(-1).expand(x.shape[:-1])


class SVDLinear(Transform):
    r"""An invertible linear map by its singular values, between two products of reflections.

    .. math:: z = U \operatorname{diag}(e^{s})\, V^\top x, \qquad \mathrm{term} = \sum_d s_d

    Args:
        features: D.
        n_reflections: reflections in U and in V; D by default.
        bound: limit of the logarithms of singular values.
        batch_shape: the component axis.
        generator: source of the reflections.

    Raises:
        ValueError: for fewer than one reflection, or a bound that is not positive.

    Example:
        >>> SVDLinear(3).encode(torch.zeros(1, 3))[1].detach()
        tensor([0.])
    """

    def __init__(
        self,
        features: int,
        *,
        n_reflections: int | None = None,
        bound: float = 3.0,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        self.bound = bound
        check_positive(self, ("bound",))
        how = {"n_reflections": n_reflections, "batch_shape": batch_shape, "generator": generator}
        self.left, self.right = (HouseholderProduct(features, **how) for _ in range(2))
        self.log_scale = nn.Parameter(torch.zeros(*batch_shape, 1, features))

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        log_scale = bounded(self.log_scale, self.bound)
        inner = expand_batch(x, self.batch_shape, 1) @ self.right.matrix()
        z = inner * log_scale.exp() @ self.left.matrix().mT
        return z, log_scale.sum(-1).expand(z.shape[:-1])

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        log_scale = bounded(self.log_scale, self.bound)
        inner = expand_batch(z, self.batch_shape, 1) @ self.left.matrix()
        x = inner * torch.exp(-log_scale) @ self.right.matrix().mT
        return x, -log_scale.sum(-1).expand(x.shape[:-1])
