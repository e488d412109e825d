"""Multilayer perceptrons of a row and of a label."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from anabranch.functional.numbers import check_sizes
from anabranch.networks.linear import Linear
from anabranch.networks.mlp import activate, make_activation, run_hidden


class LabelledMLP(nn.Module):
    r"""An MLP whose last hidden layer sees a label too.

    .. math:: f(x, y) = W_2\, a(W_1 h(x) + V e_y + b_1) + b_2

    The layers before it, h, do not depend on the label, so that all labels of a row cost little
    more than one.

    Args:
        in_features: size of x.
        n_labels: K; 0 for a network of x alone.
        out_features: size of the output.
        hidden: sizes of the hidden layers, at least one.
        activation: see `anabranch.networks.make_activation`.
        generator: source of the initial weights.

    Raises:
        ValueError: for no hidden layer.

    Example:
        >>> net = LabelledMLP(4, 3, 2, hidden=(8,))
        >>> net.columns(torch.zeros(4, 5)).shape  # all labels
        torch.Size([2, 3, 5])
        >>> net.columns(torch.zeros(4, 5), torch.eye(3)[:, :1].expand(3, 5)).shape  # one each
        torch.Size([2, 5])
    """

    def __init__(
        self,
        in_features: int,
        n_labels: int,
        out_features: int,
        hidden: Sequence[int] = (64, 64),
        *,
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes("hidden", hidden)  # labels enter a hidden layer
        self.activation = make_activation(activation)
        self.hidden = nn.ModuleList(
            Linear(fan_in, fan_out, generator=generator)
            for fan_in, fan_out in pairwise([in_features, *hidden])
        )
        self.last = Linear(hidden[-1], out_features, generator=generator)
        limit = 1.0 / math.sqrt(max(n_labels, 1))
        label = torch.empty(hidden[-1], n_labels).uniform_(-limit, limit, generator=generator)
        self.label = nn.Parameter(label) if n_labels else None

    def columns(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        r"""Evaluate columns.

        Args:
            x: (in_features, N).
            y: one-hot labels (K, \*lead, N), or other weights of the labels; None for each label in
                turn.

        Returns:
            (out_features, \*lead, N), with K in place of lead where y is None. Without labels lead
            is 1.
        """
        x = run_hidden(self.hidden[:-1], self.activation, x)
        x = self._labelled(self.hidden[-1].columns(x), y)  # pyright: ignore[reportCallIssue]
        x = activate(self.activation, x)
        return self.last.columns(x.flatten(1)).unflatten(1, x.shape[1:])

    def _labelled(self, x: Tensor, y: Tensor | None) -> Tensor:
        if self.label is None:
            return x.unsqueeze(1)
        if y is None:
            return x.unsqueeze(1) + self.label.unsqueeze(-1)
        shift = (self.label @ y.flatten(1)).unflatten(1, y.shape[1:])
        return shift.add_(x.view(x.shape[0], *(1,) * (y.ndim - 2), -1))
