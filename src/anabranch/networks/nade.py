"""NADE: one hidden layer whose weights all features share, in a recursion over the features."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from anabranch.functional import expand_batch
from anabranch.functional.numbers import check_sizes
from anabranch.functional.shapes import Shape
from anabranch.networks.dependence import Dependence
from anabranch.networks.linear import affine_columns

Draw = Callable[[Tensor, slice], Tensor]
ACTIVATIONS = ("sigmoid", "relu")


class NADE(nn.Module):
    r"""The parameters of feature d from one hidden layer over the features before it.

    .. math:: a_1 = b + U c, \qquad a_{d+1} = a_d + W_{:,d}\, x_d, \qquad
        \theta_d = V_d\, \sigma(a_d) + v_d

    The columns of W serve all features, which makes this O(D H) for each row: features are gone
    through one after the other, in training too. That is 6 times as fast on a CPU as all hidden
    layers at once (by cumulative sums or a masked product), which do not fit its caches. With
    "relu", :math:`\sigma(a_d) = \mathrm{relu}(\rho_d\, a_d)` with a learned scale for each feature.

    Source: Larochelle, Murray (2011), "The neural autoregressive distribution estimator"; for relu
    and :math:`\rho`, Uria, Murray, Larochelle (2013), "RNADE", arXiv:1306.0186.

    Args:
        features: D.
        n_params: outputs per feature, parameter-major: output p of feature d is number p D + d.
        hidden: H, the hidden units.
        context_features: size of the context c; 0 for none.
        ordering: a permutation of 0..D-1, the places of the features; natural order by default.
        activation: "sigmoid" or "relu".
        batch_shape: the component axis.
        generator: source of the initial weights; V and v start at zero.

    Raises:
        ValueError: where ordering is not a permutation of 0..D-1, or for an unknown activation.

    Example:
        >>> net = NADE(3, 2, hidden=16)
        >>> net(torch.zeros(5, 3)).shape
        torch.Size([5, 6])
    """

    shared_buffers = ("index",)
    index: Tensor | None

    def __init__(
        self,
        features: int,
        n_params: int,
        hidden: int = 128,
        *,
        context_features: int = 0,
        ordering: Sequence[int] | None = None,
        activation: str = "sigmoid",
        batch_shape: Shape = (),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes("hidden", (hidden,))
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {ACTIVATIONS}, got {activation!r}")
        self.n_params, self.context_features = n_params, context_features
        self.batch_shape = tuple(batch_shape)
        order = Dependence.ordered(features, ordering).levels.argsort()
        self.order: list[int] = order.tolist()
        natural = self.order == list(range(features))
        self.register_buffer("index", None if natural else order, False)
        limit = (features + context_features) ** -0.5

        def uniform(*shape: int) -> nn.Parameter:
            weight = torch.empty(*batch_shape, *shape)
            return nn.Parameter(weight.uniform_(-limit, limit, generator=generator))

        # All weights lie in the order of the places; nothing follows the last feature.
        self.weight = uniform(features - 1, hidden, 1) if features > 1 else None
        self.bias = uniform(hidden, 1)
        self.context_weight = uniform(hidden, context_features) if context_features else None
        self.out_weight = nn.Parameter(torch.zeros(*batch_shape, features, n_params, hidden))
        self.out_bias = nn.Parameter(torch.zeros(*batch_shape, features, n_params, 1))
        rescale = torch.ones(*batch_shape, features, 1, 1) if activation == "relu" else None
        self.rescale = None if rescale is None else nn.Parameter(rescale)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map (*batch_shape, N, D) to (*batch_shape, N, n_params * D)."""
        x = expand_batch(x, self.batch_shape, 1)
        return self.columns(x.mT, None if context is None else context.mT).mT

    def columns(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The same on columns: (*batch_shape, D, N) to (*batch_shape, n_params * D, N)."""
        given = x.split(1, -2)
        params: list[Tensor] = [x] * len(given)

        def look_up(own: Tensor, place: int) -> Tensor:
            params[self.order[place]] = own
            return given[self.order[place]]

        self._recur(look_up, x, context)
        return torch.stack(params, -2).flatten(-3, -2)

    def arranged(self, columns: Tensor) -> Tensor:
        """Columns (*batch_shape, D, N) in the order in which they take their turns."""
        return columns if self.index is None else columns.index_select(-2, self.index)

    def in_turn(self, draw: Draw, like: Tensor, context: Tensor | None = None) -> Tensor:
        r"""Give the features their values one after the other, in O(D H) for each row.

        Args:
            draw: from the parameters (n_params, \*batch_shape, 1, N) of the feature at a place (a
                slice, see ``arranged``) to its values (\*batch_shape, 1, N).
            like: (\*batch_shape, D, N), gives shape, dtype and device.
            context: columns (\*batch_shape, context_features, N) or (context_features, N).

        Returns:
            The values, columns (\*batch_shape, D, N) in natural order.
        """
        values: list[Tensor] = [like] * like.shape[-2]

        def drawn(own: Tensor, place: int) -> Tensor:
            values[self.order[place]] = draw(
                own.movedim(-2, 0).unsqueeze(-2), slice(place, place + 1)
            )
            return values[self.order[place]]

        self._recur(drawn, like, context)
        return torch.cat(values, -2)

    def _recur(
        self, value: Callable[[Tensor, int], Tensor], like: Tensor, context: Tensor | None
    ) -> None:
        """Go through the features; ``value`` takes their parameters and gives their values."""
        hidden = self._start(like, context)
        weights = () if self.weight is None else self.weight.unbind(-3)
        out = list(zip(self.out_weight.unbind(-3), self.out_bias.unbind(-3), strict=True))
        scales = None if self.rescale is None else self.rescale.unbind(-3)
        for place, layer in enumerate(out):
            active = torch.sigmoid(hidden) if scales is None else torch.relu(scales[place] * hidden)
            x = value(affine_columns(*layer, active), place)
            if place < len(weights):
                hidden = torch.addcmul(hidden, weights[place], x)

    def _start(self, like: Tensor, context: Tensor | None) -> Tensor:
        """The hidden layer before the first feature, (*batch_shape, H, N)."""
        if self.context_weight is None:
            return self.bias.expand(*self.batch_shape, -1, like.shape[-1])
        if context is None or context.shape[-2] != self.context_features:
            got = "none" if context is None else tuple(context.mT.shape)
            raise ValueError(f"context must have shape (..., {self.context_features}), got {got}")
        return affine_columns(self.context_weight, self.bias, context)
