"""Linear maps with structure: a diagonal and a low rank."""

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.transform import Pair, Transform
from anabranch.functional import bounded, expand_batch
from anabranch.functional.numbers import check_positive
from anabranch.functional.shapes import Shape


class StructuredAffine(Transform):
    r"""A diagonal and a symmetric low rank, which cost O(D R) in place of O(D²).

    .. math:: z = (\operatorname{diag}(e^{s}) + V V^\top)(x - m), \qquad
        \mathrm{term} = \sum_d s_d + \log\det(I + V^\top \operatorname{diag}(e^{-s})\, V)

    by the matrix determinant lemma; ``decode`` solves by Woodbury's identity, R x R. The matrix is
    positive definite whatever the parameters, and so always invertible.

    Args:
        features: D.
        rank: R, columns of V.
        bound: limit of the log-diagonal.
        batch_shape: the component axis.
        generator: source of V, which is small at the start.

    Raises:
        ValueError: for a rank outside of 1..D, or a bound that is not positive.

    Source of the identities: Woodbury (1950); Harville (1997), "Matrix algebra from a
    statistician's perspective", theorem 18.1.1.

    Example:
        >>> transform = StructuredAffine(2, rank=1)
        >>> transform.set_parameters(torch.zeros(2), torch.zeros(2), torch.ones(2, 1))
        >>> z, term = transform.encode(torch.tensor([[1.0, 0.0]]))
        >>> z.detach(), term.detach().exp()
        (tensor([[2., 1.]]), tensor([3.]))
    """

    def __init__(
        self,
        features: int,
        *,
        rank: int = 1,
        bound: float = 5.0,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        if not 1 <= rank <= features:
            raise ValueError(f"rank must be in 1..{features}, got {rank}")
        super().__init__(features, batch_shape=batch_shape)
        self.bound = bound
        check_positive(self, ("bound",))
        self.loc = nn.Parameter(torch.zeros(*batch_shape, 1, features))
        self.log_scale = nn.Parameter(torch.zeros(*batch_shape, 1, features))
        factor = torch.randn(*batch_shape, features, rank, generator=generator)
        self.factor = nn.Parameter(0.01 * factor)

    @torch.no_grad()
    def set_parameters(self, loc: Tensor, log_scale: Tensor, factor: Tensor) -> None:
        r"""Set m and s, (\*batch_shape, D), with s within the bound, and V, (\*batch_shape, D, R).

        Raises:
            ValueError: for a log-scale outside of the bound.
        """
        if not bool((log_scale.abs() < self.bound).all()):
            raise ValueError(f"log_scale must lie within ±{self.bound}, got {log_scale.tolist()}")
        self.loc.copy_(loc.unsqueeze(-2))
        raw = self.bound * torch.atanh(log_scale / self.bound)
        self.log_scale.copy_(raw.unsqueeze(-2))
        self.factor.copy_(factor)

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """s, V, and the Cholesky factor of the small matrix of the determinant lemma."""
        log_scale = bounded(self.log_scale, self.bound)
        scaled = self.factor * torch.exp(-log_scale).mT
        small = self.factor.mT @ scaled
        eye = torch.eye(small.shape[-1], dtype=small.dtype, device=small.device)
        return log_scale, scaled, torch.linalg.cholesky(eye + small)

    def _term(self, log_scale: Tensor, root: Tensor) -> Tensor:
        """(*batch_shape, 1)."""
        half = root.diagonal(dim1=-2, dim2=-1).log().sum(-1, keepdim=True)
        return log_scale.sum(-1) + 2 * half

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        log_scale, _, root = self._parts()
        centred = expand_batch(x, self.batch_shape, 1) - self.loc
        z = centred * log_scale.exp() + centred @ self.factor @ self.factor.mT
        return z, self._term(log_scale, root).expand(z.shape[:-1])

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        log_scale, scaled, root = self._parts()
        z = expand_batch(z, self.batch_shape, 1)
        inner = torch.cholesky_solve((z @ scaled).mT, root).mT
        x = z * torch.exp(-log_scale) - inner @ scaled.mT + self.loc
        return x, -self._term(log_scale, root).expand(x.shape[:-1])
