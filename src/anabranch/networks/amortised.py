"""Parameters that are free, or the output of a network of a context."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from anabranch.functional.shapes import Shape
from anabranch.networks.mlp import MLP


class Amortised(nn.Module):
    r"""A column of numbers for a transform: one for all rows, or with a context one for each row.

    Args:
        initial: (\*batch_shape, P, 1), the numbers to start from, whatever the context is.
        context_features: size of the context; 0 for free numbers.
        hidden: hidden sizes of the MLP, used with a context only.
        batch_shape: the component axis.
        generator: source of the initial weights of the MLP; its last layer starts at zero.

    Example:
        >>> Amortised(torch.ones(3, 1)).columns(None).shape
        torch.Size([3, 1])
        >>> Amortised(torch.ones(3, 1), context_features=2).columns(torch.zeros(5, 2)).shape
        torch.Size([3, 5])
    """

    def __init__(
        self,
        initial: Tensor,
        *,
        context_features: int = 0,
        hidden: Sequence[int] = (64,),
        batch_shape: Shape = (),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.context_features, self.batch_shape = context_features, tuple(batch_shape)
        if not context_features:
            self.free = nn.Parameter(initial.clone())
            return
        self.network = MLP(
            context_features,
            initial.shape[-2],
            hidden,
            batch_shape=batch_shape,
            zero_last=True,
            generator=generator,
        )
        with torch.no_grad():
            self.network.last.bias.copy_(initial)

    def columns(self, context: Tensor | None) -> Tensor:
        r"""(\*batch_shape, P, 1), or (\*batch_shape, P, N) of contexts (N, C) or (\*, N, C)."""
        if context is None or not self.context_features:
            return self.free
        return self.network(context).mT
