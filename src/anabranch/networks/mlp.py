"""Multilayer perceptrons over the stacked linear layer."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from anabranch.functional import expand_batch
from anabranch.functional.numbers import check_sizes
from anabranch.functional.shapes import Shape
from anabranch.networks.linear import Linear

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def make_activation(name: str) -> nn.Module:
    """Make the activation of that name.

    Raises:
        ValueError: for an unknown name; lists the known ones.

    Example:
        >>> make_activation("tanh")
        Tanh()
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]()


class MLP(nn.Module):
    r"""Linear layers with an activation between them, and an optional context beside the input.

    Args:
        in_features: size of the input.
        out_features: size of the output.
        hidden: sizes of the hidden layers.
        context_features: size of the context that is concatenated to the input; 0 for none.
        activation: "relu", "tanh", "silu", "gelu" or "elu".
        batch_shape: the component axis.
        zero_last: start with output zero, so that a flow starts at the identity.
        generator: source of the initial weights.

    Shapes:
        x: (*batch_shape, N, in_features), context: (*batch_shape, N, context_features); either may
        lack batch_shape. The output is (*batch_shape, N, out_features).

    Example:
        >>> net = MLP(2, 3, hidden=(8,), batch_shape=(5,))
        >>> net(torch.zeros(4, 2)).shape
        torch.Size([5, 4, 3])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: Sequence[int] = (64, 64),
        *,
        context_features: int = 0,
        activation: str = "relu",
        batch_shape: Shape = (),
        zero_last: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes("hidden", hidden, empty=True)
        self.context_features = context_features
        sizes = [in_features + context_features, *hidden]
        self.activation = make_activation(activation)
        self.hidden = nn.ModuleList(
            Linear(fan_in, fan_out, batch_shape=batch_shape, generator=generator)
            for fan_in, fan_out in pairwise(sizes)
        )
        self.last = Linear(
            sizes[-1], out_features, batch_shape=batch_shape, zero=zero_last, generator=generator
        )

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Evaluate the network; a declared context is required, another is ignored."""
        x = expand_batch(x, self.last.batch_shape, 1)
        return self.columns(x.mT, None if context is None else context.mT).mT

    def columns(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The same on columns: (*batch_shape, in_features, N), context likewise."""
        return self.last.columns(self.hidden_columns(x, context))

    def hidden_columns(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """What the last layer sees, (*batch_shape, last hidden size, N)."""
        columns = join_context(x, context, self.context_features)
        return run_hidden(self.hidden, self.activation, columns)


def run_hidden(hidden: nn.ModuleList, activation: nn.Module, columns: Tensor) -> Tensor:
    """Run hidden layers with their activation on columns."""
    for layer in hidden:
        columns = activate(activation, layer.columns(columns))  # pyright: ignore[reportCallIssue]
    return columns


def activate(activation: nn.Module, fresh: Tensor) -> Tensor:
    """Activations of what nobody else will use, in place where the gradient allows it.

    Example:
        >>> activate(make_activation("relu"), torch.tensor([-1.0, 1.0]))
        tensor([0., 1.])
    """
    return torch.relu_(fresh) if isinstance(activation, nn.ReLU) else activation(fresh)


def join_context(x: Tensor, context: Tensor | None, context_features: int) -> Tensor:
    """Concatenate the context to the input where one was declared, and ignore it otherwise.

    Args:
        x: columns (*batch, in_features, N).
        context: columns (*batch, context_features, N) or (context_features, N).
        context_features: the declared size; 0 ignores any context.

    Raises:
        ValueError: where a context was declared but is missing or of another size.

    Example:
        >>> import torch
        >>> join_context(torch.zeros(2, 4), torch.zeros(3, 4), 3).shape
        torch.Size([5, 4])
    """
    if not context_features:
        return x
    if context is None or context.shape[-2] != context_features:
        got = "none" if context is None else tuple(context.mT.shape)
        raise ValueError(f"context must have shape (..., {context_features}), got {got}")
    lead = x.shape[:-2] if x.ndim >= context.ndim else context.shape[:-2]
    return torch.cat([t.expand(*lead, *t.shape[-2:]) for t in (x, context)], dim=-2)
