"""A linear layer with batch normalisation, for training; it folds into a plain one afterwards."""

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from anabranch.networks.linear import Linear


class NormalizedLinear(nn.Module):
    r"""A linear map whose outputs are standardised over the batch, then scaled and shifted.

    .. math:: y = \gamma\, \frac{x W^\top - m}{\sqrt{v + \epsilon}} + b

    m and v are the batch's mean and variance in training, and their running averages in evaluation.
    The linear layer's own bias takes no part until `fold`, which writes the evaluation map into it.

    Source: Ioffe, Szegedy (2015), "Batch normalization", arXiv:1502.03167.

    Args:
        linear: the layer, without a component axis.
        momentum: of the running averages, the weight of the present batch.
        epsilon: added to the variance.

    Raises:
        ValueError: for a layer with a component axis.

    Example:
        >>> layer = NormalizedLinear(Linear(2, 3)).eval()
        >>> x = torch.randn(5, 2)
        >>> torch.allclose(layer(x), layer.fold()(x), atol=1e-6)
        True
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, linear: Linear, *, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        if linear.batch_shape:
            raise ValueError(f"linear must have no batch_shape, got {linear.batch_shape}")
        super().__init__()
        self.linear, self.momentum, self.epsilon = linear, momentum, epsilon
        size = linear.out_features
        self.scale = nn.Parameter(torch.ones(size))
        self.shift = nn.Parameter(torch.zeros(size))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("variance", torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_features) to (N, out_features)."""
        return self.columns(x.mT).mT

    def columns(self, x: Tensor) -> Tensor:
        """The same on columns, (in_features, N) to (out_features, N)."""
        y = self.linear.weight @ x
        return batch_norm(
            y.unsqueeze(0),
            self.mean,
            self.variance,
            self.scale,
            self.shift,
            self.training,
            self.momentum,
            self.epsilon,
        ).squeeze(0)

    @torch.no_grad()
    def fold(self) -> Linear:
        """The linear layer, rewritten to be the map of evaluation mode."""
        factor = (self.scale / (self.variance + self.epsilon).sqrt()).unsqueeze(1)
        self.linear.weight.mul_(factor)
        self.linear.bias.copy_(self.shift.unsqueeze(1) - factor * self.mean.unsqueeze(1))
        return self.linear
