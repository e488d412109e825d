"""Networks over groups of numbers, each of which sees the groups of lower degree."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from anabranch.networks.linear import Linear


class DegreeMLP(nn.Module):
    r"""An MLP whose outputs of degree g depend on inputs of a degree below g alone.

    Degrees 0, 1, 2, ... make it autoregressive, 0 and 1 bipartite. Without hidden layers it is a
    table of logits for each pair of columns, where inputs are one-hot.

    Args:
        degrees: of each group.
        n_inputs: numbers of a group.
        n_outputs: outputs of a group.
        hidden: sizes of the hidden layers.
        scale: of the initial weights of the last layer, normal.
        generator: source of the initial weights.

    Shapes:
        (N, groups, n_inputs) to (N, groups, n_outputs).

    Source: Germain, Gregor, Murray, Larochelle (2015), "MADE", arXiv:1502.03509, for groups.

    Example:
        >>> network = DegreeMLP([0, 1], 3, 2, scale=1.0)
        >>> x = torch.zeros(1, 2, 3)
        >>> bool((network(x + 1)[:, 0] == network(x)[:, 0]).all())
        True
    """

    def __init__(
        self,
        degrees: Sequence[int],
        n_inputs: int,
        n_outputs: int,
        *,
        hidden: Sequence[int] = (),
        scale: float = 1.0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        groups = torch.tensor(list(degrees))
        own, most = groups.repeat_interleave(n_inputs), max(int(groups.max()), 1)
        layers: list[nn.Module] = []
        for size in hidden:
            above = torch.arange(size) % most
            mask = above.unsqueeze(-1) >= own
            layers += [Linear(len(own), size, mask=mask, generator=generator), nn.ReLU()]
            own = above
        last = groups.repeat_interleave(n_outputs)
        mask = last.unsqueeze(-1) > own
        final = Linear(len(own), len(last), mask=mask, generator=generator)
        layers.append(final)
        with torch.no_grad():
            final.weight.normal_(0, scale, generator=generator)
            final.bias.normal_(0, scale, generator=generator)
        self.network = nn.Sequential(*layers)
        self.n_groups, self.n_outputs = len(groups), n_outputs

    def forward(self, x: Tensor) -> Tensor:
        """All outputs at once."""
        return self.network(x.flatten(1)).view(x.shape[0], self.n_groups, self.n_outputs)
