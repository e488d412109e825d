"""The logit of a beta variable: shares without the walls of the unit interval."""

import torch
from torch import Generator, Tensor
from torch.nn.functional import logsigmoid

from anabranch.distributions.family import Family, Value
from anabranch.functional.shapes import Shape


class LogisticBeta(Family):
    r"""The logit of a beta variable, the generalised logistic distribution of type IV.

    .. math:: f(y) = \frac{\Gamma(\alpha + \beta)}{\Gamma(\alpha)\, \Gamma(\beta)}\,
        \sigma(y)^\alpha\, \sigma(-y)^\beta, \qquad \sigma(y) \sim \mathrm{Beta}(\alpha, \beta)

    Args:
        event_shape: D, or the shape of an image.
        alpha: a number or a tensor that broadcasts to the event shape.
        beta: likewise.
        batch_shape: the component axis.

    Raises:
        ValueError: for parameters that are not positive, or other shapes.

    Source: Johnson, Kotz, Balakrishnan (1995), "Continuous univariate distributions", volume 2,
    section 23.10.

    Example:
        >>> LogisticBeta(1, alpha=1.0, beta=1.0).log_prob(torch.zeros(1, 1)).exp()
        tensor([0.2500])
    """

    alpha: Tensor
    beta: Tensor

    def __init__(
        self,
        event_shape: int | Shape,
        *,
        alpha: Value = 2.0,
        beta: Value = 2.0,
        batch_shape: Shape = (),
    ) -> None:
        parameters = {"alpha": alpha, "beta": beta}
        super().__init__(
            event_shape, parameters, positive=tuple(parameters), batch_shape=batch_shape
        )

    def _log_density(self, x: Tensor) -> Tensor:
        a, b = self.alpha, self.beta
        level = torch.lgamma(a + b) - torch.lgamma(a) - torch.lgamma(b)
        return level + a * logsigmoid(x) + b * logsigmoid(-x)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        first, second = (self._gamma(p, n, generator) for p in (self.alpha, self.beta))
        return first.log() - second.log()
