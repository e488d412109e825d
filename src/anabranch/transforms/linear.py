"""Linear and affine maps with a cheap determinant."""

import math

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.transform import Transform
from anabranch.functional import bounded, expand_batch
from anabranch.functional.numbers import check_positive
from anabranch.functional.shapes import Shape
from anabranch.transforms.rotation import orthogonal


class TriangularAffine(Transform):
    r"""An affine map with a lower triangular matrix, whitening a Gaussian of any covariance.

    .. math:: z = \operatorname{diag}(e^{d})\,(I + N)\,(x - m), \qquad \mathrm{term} = \sum_i d_i

    N is strictly lower triangular. Set from a mean and the Cholesky factor of a covariance by
    ``set_gaussian``, with a standard normal base it *is* that Gaussian. The trained part of d stays
    within ``bound`` of where it was set, so training cannot overflow it.

    Args:
        features: D.
        diagonal: leave N out, for a diagonal covariance.
        bound: how far training can move a log-scale.
        batch_shape: the component axis.

    Example:
        >>> transform = TriangularAffine(2)
        >>> transform.set_gaussian(torch.tensor([1.0, 1.0]), torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
        >>> z, term = transform.encode(torch.tensor([[3.0, 1.0]]))
        >>> z.detach(), term.detach()
        (tensor([[1., 0.]]), tensor([-2.0794]))
    """

    log_scale_origin: Tensor

    def __init__(
        self,
        features: int,
        *,
        diagonal: bool = False,
        bound: float = 5.0,
        batch_shape: Shape = (),
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        self.bound = bound
        check_positive(self, ("bound",))
        self.loc = nn.Parameter(torch.zeros(*batch_shape, 1, features))
        self.log_scale = nn.Parameter(torch.zeros(*batch_shape, 1, features))
        self.lower = (
            None if diagonal else nn.Parameter(torch.zeros(*batch_shape, features, features))
        )
        self.register_buffer("log_scale_origin", torch.zeros(*batch_shape, 1, features))

    @torch.no_grad()
    def set_gaussian(self, loc: Tensor, scale_tril: Tensor) -> None:
        r"""Become the whitening map of :math:`\mathcal N(m, L L^\top)`.

        Args:
            loc: means, (*batch_shape, D).
            scale_tril: Cholesky factors, (*batch_shape, D, D); only their diagonal is used by a
                diagonal map.

        Raises:
            ValueError: for a factor whose diagonal is not positive.
        """
        if not bool((scale_tril.diagonal(dim1=-2, dim2=-1) > 0).all()):
            raise ValueError("scale_tril must have a positive diagonal")
        precision = torch.linalg.solve_triangular(
            scale_tril.double(),
            torch.eye(scale_tril.shape[-1], dtype=torch.float64, device=scale_tril.device),
            upper=False,
        )
        scale = precision.diagonal(dim1=-2, dim2=-1)
        self.loc.copy_(loc.unsqueeze(-2))
        self.log_scale.zero_()
        self.log_scale_origin.copy_(scale.log().unsqueeze(-2))
        if self.lower is not None:
            self.lower.copy_((precision / scale.unsqueeze(-1)).tril(-1))

    def _log_scale(self) -> Tensor:
        return self.log_scale_origin + bounded(self.log_scale, self.bound)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        log_scale = self._log_scale()
        centred = x - self.loc
        if self.lower is not None:
            centred = centred + (self.lower.tril(-1) @ centred.mT).mT
        return centred * log_scale.exp(), log_scale.sum(-1).expand(centred.shape[:-1])

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        log_scale = self._log_scale()
        centred = z * torch.exp(-log_scale)
        if self.lower is not None:
            # unitriangular: only the strictly lower part is read
            centred = torch.linalg.solve_triangular(
                self.lower, centred.mT, upper=False, unitriangular=True
            ).mT
        return centred + self.loc, -log_scale.sum(-1).expand(centred.shape[:-1])


class LULinear(Transform):
    r"""An invertible linear map in its LU form.

    .. math:: z = P L (U + \operatorname{diag}(s))\, x, \qquad \mathrm{term} = \sum_d \log|s_d|

    P is a fixed permutation, L unit lower and U strictly upper triangular. With a ``bound`` the
    entries of L stay within ±1/√(D-1), those of U within that times the s of their row, and log|s|
    within ±``bound``, so that random parameters of any size leave a map that inverts accurately.
    (With the ±1 of partial pivoting the error of the inverse grows exponentially in D.) But such a
    map is no rotation: without a bound it is any invertible matrix, exactly.

    Args:
        features: D.
        bound: limit of log|s|; None to leave all factors free.
        rotation: start at a random rotation; only without a bound.
        batch_shape: the component axis.
        generator: source of the rotation, or else of random permutations and signs; without one
            P is the identity and the signs are positive, or the rotation is drawn from torch's
            default source.

    Raises:
        ValueError: for a rotation with a bound, which it would not fit.

    Source: Kingma, Dhariwal (2018), "Glow", arXiv:1807.03039; Oliva et al. (2018),
    arXiv:1801.09819.

    Example:
        >>> z, term = LULinear(3).encode(torch.tensor([[1.0, 2.0, 3.0]]))
        >>> z.detach(), term.detach()
        (tensor([[1., 2., 3.]]), tensor([0.]))
    """

    permutation: Tensor
    sign: Tensor

    def __init__(
        self,
        features: int,
        *,
        bound: float | None = 3.0,
        rotation: bool = False,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        if rotation and bound is not None:
            raise ValueError(f"a rotation does not fit within a bound, got bound={bound}")
        super().__init__((features,), batch_shape=batch_shape)
        self.bound = bound
        check_positive(self, ("bound",), optional=True)
        self.lower = nn.Parameter(torch.zeros(*batch_shape, features, features))
        self.upper = nn.Parameter(torch.zeros(*batch_shape, features, features))
        self.log_scale = nn.Parameter(torch.zeros(*batch_shape, 1, features))
        permutation = torch.eye(features).expand(*batch_shape, features, features).clone()
        sign = torch.ones(*batch_shape, 1, features)
        if generator is not None and not rotation:
            keys = torch.rand(*batch_shape, features, generator=generator)
            permutation = torch.eye(features)[keys.argsort(-1)]
            sign = torch.rand(sign.shape, generator=generator).sub(0.5).sign()
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", sign)
        if rotation:
            noise = torch.randn(self.lower.shape, generator=generator, dtype=torch.float64)
            self.set_matrix(orthogonal(noise))

    @torch.no_grad()
    def set_matrix(self, matrix: Tensor) -> None:
        """Become the map z = A x, for a map without a bound.

        Args:
            matrix: A, (*batch_shape, D, D), invertible.

        Raises:
            ValueError: where there is a bound, or A is singular.
        """
        if self.bound is not None:
            raise ValueError(f"a matrix is set only where nothing is bounded, got {self.bound}")
        permutation, lower, upper = torch.linalg.lu(matrix.double())
        scale = upper.diagonal(dim1=-2, dim2=-1).unsqueeze(-2)
        if not (scale.is_meta or bool(scale.all())):  # a file is loaded into a model without values
            raise ValueError("the matrix is singular")
        self.permutation.copy_(permutation)
        self.lower.copy_(lower.tril(-1))
        self.upper.copy_((upper / scale.mT).triu(1))
        self.log_scale.copy_(scale.abs().log())
        self.sign.copy_(scale.sign())

    def matrix(self) -> Tensor:
        """A with z = A x, (*batch_shape, D, D)."""
        lower, upper, log_scale = self._factors()
        eye = torch.eye(self.event_shape[0], dtype=lower.dtype, device=lower.device)
        scaled = (eye + upper) * (self.sign * log_scale.exp()).mT
        return self.permutation @ (scaled + lower @ scaled)

    def inverse_matrix(self) -> Tensor:
        """The inverse of ``matrix``."""
        lower, upper, log_scale = self._factors()
        inverse = torch.linalg.solve_triangular(
            lower, self.permutation.mT, upper=False, unitriangular=True
        )
        inverse = inverse * (self.sign * torch.exp(-log_scale)).mT
        return torch.linalg.solve_triangular(upper, inverse, upper=True, unitriangular=True)

    def log_det(self) -> Tensor:
        """Log|det A|, of shape batch_shape."""
        return self._factors()[2].sum((-2, -1))

    def _factors(self) -> tuple[Tensor, Tensor, Tensor]:
        """L and I + U/s, whose unit diagonals the solver implies, and log|s|."""
        if self.bound is None:
            return self.lower.tril(-1), self.upper.triu(1), self.log_scale
        # A triangular inverse grows exponentially in D unless its entries shrink like 1/sqrt(D).
        limit = 1 / math.sqrt(max(1, self.event_shape[0] - 1))
        lower = bounded(self.lower, limit).tril(-1)
        upper = bounded(self.upper, limit).triu(1)
        return lower, upper, bounded(self.log_scale, self.bound)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        lower, upper, log_scale = self._factors()
        columns = expand_batch(x, self.batch_shape, 1).mT
        columns = (columns + upper @ columns) * (self.sign * log_scale.exp()).mT
        z = (self.permutation @ (columns + lower @ columns)).mT
        return z, log_scale.sum(-1).expand(z.shape[:-1])

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        lower, upper, log_scale = self._factors()
        columns = self.permutation.mT @ expand_batch(z, self.batch_shape, 1).mT
        columns = torch.linalg.solve_triangular(lower, columns, upper=False, unitriangular=True)
        columns = columns * (self.sign * torch.exp(-log_scale)).mT
        x = torch.linalg.solve_triangular(upper, columns, upper=True, unitriangular=True).mT
        return x, -log_scale.sum(-1).expand(x.shape[:-1])
