"""Invertible residual layers."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from anabranch.contracts.transform import Pair, Transform
from anabranch.functional import expand_batch
from anabranch.functional.numbers import check_choice, check_share
from anabranch.functional.roots import fixed_point, limited
from anabranch.functional.shapes import Shape
from anabranch.networks.lipschitz import Linearisation, LipschitzMLP

LOG_DETS = ("exact", "roulette")
SURE = 4  # terms that are always there; each of the others follows with probability 1/2


class Residual(Transform):
    r"""Add what a network says that cannot fold the space.

    .. math:: z = x + g(x), \qquad |g(x) - g(y)| \le L |x - y|, \quad L < 1, \qquad
        \mathrm{term} = \log \det(I + J) = \sum_{k \ge 1} \tfrac{(-1)^{k+1}}k \operatorname{tr} J^k

    with J the Jacobian of g. ``decode`` repeats :math:`x \leftarrow z - g(x)` until it stands
    still. The term is exact, at the cost of D directions and a determinant, or, for many columns,
    Russian roulette: one random direction, and a random number of terms of the series, each over
    the probability that it is reached. That is right in the mean, and random.

    Args:
        features: D.
        hidden: hidden sizes of the network.
        limit: L, between 0 and 1.
        log_det: "exact" or "roulette". Weights fit both.
        context_features: size of the context; 0 for none.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Raises:
        ValueError: for another limit or log_det.

    Source: Behrmann et al. (2019), "Invertible residual networks", arXiv:1811.00995; roulette:
    Chen et al. (2019), "Residual flows for invertible generative modeling", arXiv:1906.02735.

    Example:
        >>> residual = Residual(2, hidden=(8,)).double()
        >>> x = torch.ones(1, 2, dtype=torch.float64)
        >>> torch.allclose(residual.decode(residual.encode(x)[0])[0], x)
        True
    """

    def __init__(
        self,
        features: int,
        *,
        hidden: Sequence[int] = (64, 64),
        limit: float = 0.9,
        log_det: str = "exact",
        context_features: int = 0,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape, context_shape=context_features)
        self.limit, self.log_det = limit, log_det
        check_share(self, ("limit",))
        check_choice(self, "log_det", LOG_DETS)
        self.exact = log_det == "exact"
        self.stochastic = not self.exact
        self.network = LipschitzMLP(
            features,
            hidden,
            limit=limit,
            context_features=context_features,
            batch_shape=batch_shape,
            generator=generator,
        )

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        x = expand_batch(x, self.batch_shape, 1)
        change, slope = self.network.linearised(x, context)
        return x + change, self._term(slope, x, generator)

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        z = expand_batch(z, self.batch_shape, 1)
        x = self._undone(z, context)
        return x, -self._term(self.network.linearised(x, context)[1], x, generator)

    def _undone(self, z: Tensor, context: Tensor | None) -> Tensor:
        """The x of z, with derivatives to the second order: two steps of Newton's method."""
        with torch.no_grad():
            x = fixed_point(lambda x: z - self.network.linearised(x, context)[0], z)
            if not torch.compiler.is_compiling() and torch.is_inference_mode_enabled():
                return x
            slope = _added_to_one(self.network.linearised(x, context)[1].matrix())

        def missing(x: Tensor) -> Tensor:
            return (z - x - self.network.linearised(x, context)[0]).unsqueeze(-1)

        x = x + torch.linalg.solve(slope, missing(x)).squeeze(-1)
        return x + torch.linalg.solve(slope, limited(missing(x))).squeeze(-1)

    def _term(self, slope: Linearisation, x: Tensor, generator: Generator | None) -> Tensor:
        if self.exact:
            return torch.linalg.slogdet(_added_to_one(slope.matrix()))[1]
        device = generator.device if generator is not None else torch.device("cpu")
        share = torch.rand((), generator=generator, device=device, dtype=torch.float64)
        n = SURE + int(-torch.log2(1 - share))  # each further term with probability 1/2
        probe = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        term, moved = x.new_zeros(x.shape[:-1]), probe
        for k in range(1, n + 1):
            moved = slope.along(moved)
            reached = 0.5 ** max(0, k - SURE)
            term = term - (-1) ** k / (k * reached) * (moved * probe).sum(-1)
        return term


def _added_to_one(matrix: Tensor) -> Tensor:
    return matrix + torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
