"""Standard bases, without parameters."""

import torch
from torch import Tensor

from anabranch.distributions.base import Distribution
from anabranch.functional import standard_logistic_log_prob, standard_normal_log_prob
from anabranch.functional.shapes import Shape


class Normal(Distribution):
    r"""The standard normal :math:`\mathcal N(0, I)` in D dimensions.

    Args:
        features: D.
        batch_shape: the component axis.

    Example:
        >>> Normal(2).log_prob(torch.zeros(3, 2))
        tensor([-1.8379, -1.8379, -1.8379])
    """

    shared_buffers = ("anchor",)
    anchor: Tensor

    def __init__(self, features: int, *, batch_shape: Shape = ()) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        self.register_buffer("anchor", torch.zeros(()), False)  # knows the dtype and the device

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        return standard_normal_log_prob(x)

    def _sample(self, n: int, context: Tensor | None, generator: torch.Generator | None) -> Tensor:
        shape = (*self.batch_shape, n, *self.event_shape)
        return torch.randn(
            shape, generator=generator, dtype=self.anchor.dtype, device=self.anchor.device
        )


class Logistic(Distribution):
    r"""The standard logistic in D independent dimensions, the base of NICE.

    .. math:: p(z) = \prod_d \frac{e^{-z_d}}{(1 + e^{-z_d})^2}

    Args:
        features: D.
        batch_shape: the component axis.

    Example:
        >>> Logistic(1).log_prob(torch.zeros(1, 1))
        tensor([-1.3863])
    """

    shared_buffers = ("anchor",)
    anchor: Tensor

    def __init__(self, features: int, *, batch_shape: Shape = ()) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        self.register_buffer("anchor", torch.zeros(()), False)

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        return standard_logistic_log_prob(x)

    def _sample(self, n: int, context: Tensor | None, generator: torch.Generator | None) -> Tensor:
        shape = (*self.batch_shape, n, *self.event_shape)
        u = torch.rand(
            shape, generator=generator, dtype=self.anchor.dtype, device=self.anchor.device
        )
        tiny = torch.finfo(u.dtype).tiny  # rand can return 0, whose logit is infinite
        return torch.log(u.clamp_min(tiny)) - torch.log1p(-u)
