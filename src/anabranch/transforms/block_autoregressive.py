"""Block autoregressive flow: one network whose Jacobian is triangular."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import logsigmoid

from anabranch.contracts.transform import Transform
from anabranch.functional import bounded, expand_batch
from anabranch.functional.roots import find_root, implicit
from anabranch.functional.shapes import Shape
from anabranch.networks.block import BlockNetwork, Rise

# limit of the logit of a gate: the slope far out is at least 1 / (1 + exp(7)), about 0.001
BOUND = 7.0


class BlockAutoregressive(Transform):
    r"""Move each feature by a network that rises with it and sees the ones before it.

    .. math:: z_d = a_d f_d(x_{\le d}) + (1 - a_d)\, x_d, \qquad
        \mathrm{term} = \sum_d \log\left(a_d \frac{\partial f_d}{\partial x_d} + 1 - a_d\right)

    f is a `BlockNetwork`, which is bounded; the gated residual makes the map onto the whole line,
    so that every latent has its point. ``encode`` is one pass; ``decode`` finds the features one
    after another by a numeric inverse, exact in double precision, with exact gradients. For fast
    draws, as variational inference wants them, use its `Inverse`.

    Source: De Cao, Titov, Aziz (2019), "Block neural autoregressive flow", arXiv:1904.04676; the
    gate is theirs too, there between layers only.

    Args:
        features: D.
        hidden: units of each feature in the hidden layers.
        context_features: size of the context; 0 for none.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Raises:
        ValueError: where there is no hidden layer.

    Example:
        >>> transform = BlockAutoregressive(3, hidden=(8,)).double()
        >>> x = torch.ones(5, 3, dtype=torch.float64)
        >>> torch.allclose(transform.decode(transform.encode(x)[0])[0], x)
        True
    """

    def __init__(
        self,
        features: int,
        *,
        hidden: Sequence[int] = (50, 50),
        context_features: int = 0,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape, context_shape=context_features)
        self.network = BlockNetwork(
            features,
            hidden,
            context_features=context_features,
            batch_shape=batch_shape,
            generator=generator,
        )
        self.gate = nn.Parameter(torch.zeros(*batch_shape, features, 1))

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        columns = expand_batch(x, self.batch_shape, 1).mT
        y, log_slope = self.network.columns(columns, None if context is None else context.mT)
        gate = bounded(self.gate, BOUND)
        z = torch.lerp(columns, y, torch.sigmoid(gate))
        return z.mT, torch.logaddexp(logsigmoid(gate) + log_slope, logsigmoid(-gate)).sum(-2)

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        columns = expand_batch(z, self.batch_shape, 1).mT.double()
        gate = torch.sigmoid(bounded(self.gate.double(), BOUND))

        def solve(d: int, rise: Rise, reach: Tensor) -> Tensor:
            target, share = columns[..., d : d + 1, :], gate[..., d : d + 1, :]

            def gated(x: Tensor) -> Tensor:
                return share * rise(x) + (1 - share) * x

            ends = [(target + sign * share * reach) / (1 - share) for sign in (-1, 1)]
            root = find_root(gated, target, lower=ends[0].detach(), upper=ends[1].detach())
            return implicit(gated, root, target, share * rise.slope(root) + (1 - share))

        x = self.network.in_turn(solve, None if context is None else context.mT)
        x = x.mT.to(z.dtype)
        return x, -self._encode(x, context, generator)[1]
