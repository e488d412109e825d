"""Normalisation layers."""

from math import prod

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.transform import Transform
from anabranch.functional import bounded
from anabranch.functional.numbers import check_positive
from anabranch.functional.shapes import Shape


class ActNorm(Transform):
    r"""A scale and a shift per feature, set from data once and trained afterwards.

    .. math:: z = (x - m)\, e^{s}, \qquad \mathrm{term} = \sum_d s_d

    The features of an image are its channels, alike at each of its H W places, and the term is H W
    times as much. ``initialize(x)`` sets m and s so that z has mean zero and variance one; a
    feature that does not vary in x (one row, say) keeps scale one.

    Args:
        event_shape: D, or (C, H, W).
        bound: how far training can move a log-scale from where the data set it.
        batch_shape: the component axis.

    Source: Kingma, Dhariwal (2018), "Glow", arXiv:1807.03039.

    Example:
        >>> norm = ActNorm(1)
        >>> norm.initialize(torch.tensor([[0.0], [4.0]]))[0]
        tensor([[-1.],
                [ 1.]])
    """

    log_scale_origin: Tensor

    def __init__(
        self, event_shape: int | Shape, *, bound: float = 5.0, batch_shape: Shape = ()
    ) -> None:
        super().__init__(event_shape, batch_shape=batch_shape)
        self.bound = bound
        check_positive(self, ("bound",))
        places = self.event_shape[1:]
        self.places, self.event_axes = prod(places), tuple(range(-len(self.event_shape), 0))
        shape = (*batch_shape, 1, self.event_shape[0], *(1 for _ in places))
        self.loc = nn.Parameter(torch.zeros(shape))
        self.log_scale = nn.Parameter(torch.zeros(shape))
        self.register_buffer("log_scale_origin", torch.zeros(shape))

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        first, *others = self.event_axes
        if not self.batch_shape:  # one that components share sees the points of them all
            x = x.flatten(0, first - 1)
        axes = (first - 1, *others)
        std = x.std(axes, correction=0, keepdim=True)
        self.loc.copy_(x.mean(axes, keepdim=True).expand_as(self.loc))
        self.log_scale.zero_()
        log_scale = torch.where(std > 1e-6, -std.clamp_min(1e-6).log(), 0.0)
        self.log_scale_origin.copy_(log_scale.expand_as(self.log_scale_origin))

    def log_factor(self) -> Tensor:
        """The log-scales s, (*batch_shape, 1, D) or (*batch_shape, 1, C, 1, 1)."""
        return self.log_scale_origin + bounded(self.log_scale, self.bound)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        log_scale = self.log_factor()
        z = (x - self.loc) * log_scale.exp()
        return z, self._term(log_scale, z)

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        log_scale = self.log_factor()
        x = z * torch.exp(-log_scale) + self.loc
        return x, self._term(-log_scale, x)

    def _term(self, log_scale: Tensor, like: Tensor) -> Tensor:
        term = self.places * log_scale.sum(self.event_axes)
        return term.expand(like.shape[: like.ndim - len(self.event_shape)])


class BatchNorm(Transform):
    r"""Normalise by the statistics of the batch, and by their running averages in evaluation.

    .. math:: z = \gamma \frac{x - m}{\sqrt{v + \epsilon}} + \beta, \qquad
        \mathrm{term} = \sum_d [\log\gamma_d - \tfrac12 \log(v_d + \epsilon)]

    While training, m and v (biased) are the batch's, gradients flow through them, and ``decode``
    uses those of the last encoded batch. Inside a mixture the statistics would see the points of
    the other components as well, which costs density: set ``row_weights``, or use `ActNorm`.

    Args:
        features: D.
        momentum: weight of the old running average.
        eps: added to the variance.
        batch_shape: the component axis.

    Attributes:
        row_weights: (\*batch_shape, N), non-negative weights of the rows of the next batches in
            training, such as a posterior q(c|x); None to count each row once.

    Raises:
        ValueError: for one row in training, whose variance is zero.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), arXiv:1605.08803, appendix E.

    Example:
        >>> norm = BatchNorm(1).train()
        >>> norm.encode(torch.tensor([[0.0], [4.0]]))[0].detach().round(decimals=3)
        tensor([[-1.],
                [ 1.]])
    """

    running_mean: Tensor
    running_var: Tensor
    batch_mean: Tensor
    batch_var: Tensor

    def __init__(
        self,
        features: int,
        *,
        momentum: float = 0.9,
        eps: float = 1e-5,
        batch_shape: Shape = (),
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        self.momentum, self.eps = momentum, eps
        self.row_weights: Tensor | None = None
        shape = (*batch_shape, 1, features)
        self.log_gamma = nn.Parameter(torch.zeros(shape))
        self.beta = nn.Parameter(torch.zeros(shape))
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_var", torch.ones(shape))
        self.register_buffer("batch_mean", torch.zeros(shape), False)
        self.register_buffer("batch_var", torch.ones(shape), False)

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training:
            return self.running_mean, self.running_var
        x = _rows(x, self.batch_shape)
        if x.shape[-2] == 1:
            raise ValueError("BatchNorm needs at least two rows in training, got one; call .eval()")
        var, mean = self._moments(x)
        with torch.no_grad():
            self.running_mean.lerp_(mean.expand_as(self.running_mean), 1 - self.momentum)
            self.running_var.lerp_(var.expand_as(self.running_var), 1 - self.momentum)
            self.batch_mean.copy_(mean.expand_as(self.batch_mean))
            self.batch_var.copy_(var.expand_as(self.batch_var))
        return mean, var

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Variance and mean over the rows, weighted where they have weights."""
        if self.row_weights is None:
            return torch.var_mean(x, -2, correction=0, keepdim=True)
        # a little of every row, so that a component that owns none keeps statistics at all
        weights = (self.row_weights + 1e-6).unsqueeze(-1)
        weights = weights / weights.sum(-2, keepdim=True)
        mean = (weights * x).sum(-2, keepdim=True)
        return (weights * (x - mean).square()).sum(-2, keepdim=True), mean

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        x = _rows(x, self.batch_shape)
        var, mean = torch.var_mean(x, -2, correction=0, keepdim=True)
        self.running_mean.copy_(mean.expand_as(self.running_mean))
        self.running_var.copy_(var.expand_as(self.running_var))

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        mean, var = self._statistics(x)
        log_scale = bounded(self.log_gamma, 5.0) - 0.5 * torch.log(var + self.eps)
        z = (x - mean) * log_scale.exp() + self.beta
        return z, log_scale.sum(-1).expand(z.shape[:-1])

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        mean = self.batch_mean if self.training else self.running_mean
        var = self.batch_var if self.training else self.running_var
        log_scale = bounded(self.log_gamma, 5.0) - 0.5 * torch.log(var + self.eps)
        x = (z - self.beta) * torch.exp(-log_scale) + mean
        return x, -log_scale.sum(-1).expand(x.shape[:-1])


def _rows(x: Tensor, batch_shape: Shape) -> Tensor:
    """What the statistics are of: a layer that components share sees the points of them all."""
    return x if batch_shape else x.flatten(0, -2)
