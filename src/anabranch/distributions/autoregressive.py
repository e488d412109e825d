"""Autoregressive models: each number has a distribution that those before it decide."""

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.distribution import Distribution
from anabranch.contracts.protocols import AutoregressiveNetwork
from anabranch.distributions.heads import Head
from anabranch.functional import expand_batch, split_parameters
from anabranch.functional.shapes import Shape


class AutoregressiveModel(Distribution):
    r"""A product of one-dimensional conditionals.

    .. math:: p(x \mid c) = \prod_{d=1}^D h(x_d; \theta_d(x_{<d}, c))

    The density takes one pass of the network, a sample the turns of its ``in_turn``. Draws of a
    continuous head carry exact gradients (by implicit reparameterisation), those of a discrete one
    have none.

    Args:
        network: `MADE`, `NADE` or another with their ``columns`` and ``in_turn``, made with
            ``head.n_params`` parameters for each feature.
        head: the distribution h of one number.
        features: D.
        context_features: size of the context that the network was made with.
        batch_shape: the component axis that the network was made with.

    Source: Larochelle, Murray (2011), "The neural autoregressive distribution estimator"; Germain,
    Gregor, Murray, Larochelle (2015), arXiv:1502.03509.

    Example:
        >>> from anabranch.distributions import Bernoulli
        >>> from anabranch.networks import MADE
        >>> model = AutoregressiveModel(MADE(3, 1), Bernoulli(), 3)
        >>> model.log_prob(torch.ones(1, 3)).detach()
        tensor([-2.0794])
    """

    def __init__(
        self,
        network: nn.Module,
        head: Head,
        features: int,
        *,
        context_features: int = 0,
        batch_shape: Shape = (),
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape, context_shape=context_features)
        self.network: AutoregressiveNetwork = network  # pyright: ignore[reportAttributeAccessIssue]
        self.head, self.domain = head, head.domain

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        columns = expand_batch(x, self.batch_shape, 1).mT
        params = self.network.columns(columns, None if context is None else context.mT)
        params = split_parameters(params, self.head.n_params)
        return self.head.log_prob(columns, params).sum(-2)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        refuse_gradients(self.head)
        like = next(self.parameters()).new_empty(*self.batch_shape, *self.event_shape, n)
        columns = None if context is None else context.mT
        draw = lambda params, places: self.head.sample(params, generator)  # noqa: E731
        return self.network.in_turn(draw, like, columns).mT


def refuse_gradients(head: Head) -> None:
    """Refuse to draw discrete values where gradients are asked for, which they cannot carry.

    Raises:
        TypeError: for a discrete head outside ``torch.no_grad()``.
    """
    if head.domain.discrete and torch.is_grad_enabled():
        raise TypeError(f"draws of {head} carry no gradients: use sample instead of rsample")
