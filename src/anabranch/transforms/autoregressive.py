"""Autoregressive: each feature moves as told by those before it."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from anabranch.contracts.domain import Circle
from anabranch.contracts.transform import Transform
from anabranch.functional import expand_batch, split_parameters
from anabranch.functional.shapes import Shape
from anabranch.networks import MADE, CausalTransformer, FeatureReader
from anabranch.transforms.scalar import ScalarMap

Conditioner = Callable[..., CausalTransformer | FeatureReader]


class Autoregressive(Transform):
    r"""Move feature d by a scalar map whose parameters come from the features before it.

    .. math:: z_d = f(x_d; \theta_d(x_{<d}, c))

    ``encode`` takes one pass (a masked autoregressive flow). ``decode`` gives the features their
    values in turn, and keeps what it has computed of the network: it costs about as much as one
    pass, in D steps. The mirror, one step to sample (inverse autoregressive flow), is
    ``Inverse(Autoregressive(...))``.

    With P ``passes`` the features are in P groups, each of which depends on the groups before it;
    two are a coupling. With ``adjacency`` they depend on what a directed acyclic graph says.
    The network sees angles as cosine and sine.

    Args:
        scalar_map: the map.
        features: D.
        hidden: hidden sizes of the MADE.
        context_features: size of the context; 0 for none.
        ordering: places of the features, a permutation of 0..D-1.
        passes: groups of features that move together, 1..D; D by default.
        adjacency: (D, D), true where feature d (row) depends on feature j (column); instead of
            ordering and passes.
        activation: activation of the MADE.
        conditioner: makes another network in place of the MADE, of ``hidden`` and ``activation`` of
            its own, such as `anabranch.networks.CausalTransformer` or `FeatureLSTM`.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Raises:
        ValueError: for an order or a graph that cannot be, see `anabranch.networks.MADE`, or one
            with another conditioner.

    Source: Papamakarios, Pavlakou, Murray (2017), arXiv:1705.07057; Kingma et al. (2016),
    arXiv:1606.04934; graphs: Wehenkel, Louppe (2021), arXiv:2006.02548.

    Example:
        >>> from anabranch.transforms import Affine
        >>> transform = Autoregressive(Affine(), 3, hidden=(8,))
        >>> x, term = transform.decode(torch.ones(5, 3))
        >>> x.shape, term.shape
        (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(
        self,
        scalar_map: ScalarMap,
        features: int,
        *,
        hidden: Sequence[int] = (64, 64),
        context_features: int = 0,
        ordering: Sequence[int] | None = None,
        passes: int | None = None,
        adjacency: Sequence[Sequence[bool]] | None = None,
        activation: str = "relu",
        conditioner: Conditioner | None = None,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape, context_shape=context_features)
        self.scalar_map = scalar_map
        self.domain = self.codomain = scalar_map.domain
        how: dict[str, Any] = {
            "context_features": context_features,
            "ordering": ordering,
            "batch_shape": batch_shape,
            "generator": generator,
        }
        circular = isinstance(scalar_map.domain, Circle)
        self.conditioner: MADE | CausalTransformer | FeatureReader
        if conditioner is not None:
            if circular or passes is not None or adjacency is not None:
                raise ValueError(
                    "conditioner: another network than a MADE knows no angles, passes or adjacency"
                )
            self.conditioner = conditioner(features, scalar_map.n_params, **how)
            return
        self.conditioner = MADE(
            features,
            scalar_map.n_params,
            hidden,
            passes=passes,
            adjacency=adjacency,
            activation=activation,
            circular=circular,
            **how,
        )

    def _params(self, columns: Tensor, context: Tensor | None) -> Tensor:
        columns = self.conditioner.columns(columns, None if context is None else context.mT)
        return split_parameters(columns, self.scalar_map.n_params)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        columns = expand_batch(x, self.batch_shape, 1).mT
        z, log_slope = self.scalar_map.encode(columns, self._params(columns, context))
        return z.mT, log_slope.sum(-2)

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        z = expand_batch(z, self.batch_shape, 1).mT
        arranged = self.conditioner.arranged(z)
        log_slopes: list[Tensor] = []

        def draw(params: Tensor, places: slice) -> Tensor:
            mine = arranged.narrow(-2, places.start, places.stop - places.start)
            x, log_slope = self.scalar_map.decode(mine, params)
            log_slopes.append(log_slope)
            return x

        x = self.conditioner.in_turn(draw, z, None if context is None else context.mT)
        return x.mT, torch.cat(log_slopes, dim=-2).sum(-2)
