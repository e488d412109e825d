"""Monotone networks as scalar maps."""

from dataclasses import dataclass

from torch import Tensor

from anabranch.functional import bounded
from anabranch.functional.numbers import check_positive, check_share, check_whole
from anabranch.transforms.scalar.base import NumericScalarMap
from anabranch.transforms.scalar.mixture_cdf import (
    WEIGHT_BOUND,
    sloped_bracket,
    sloped_logit,
    unlike_factors,
)


@dataclass(frozen=True)
class DeepSigmoidal(NumericScalarMap):
    r"""A small monotone network: a layer of sigmoids, averaged and taken back by the logit.

    .. math::
        z = (1 - \epsilon) \operatorname{logit}\Big(\sum_k w_k\, \sigma(a_k x + b_k)\Big)
        + \epsilon x, \qquad a_k > 0, \; w_k > 0, \; \sum_k w_k = 1

    with softly clipped :math:`\log a_k` and free :math:`b_k`. The small :math:`\epsilon` keeps the
    slope away from zero, as in `MixtureLogisticCDF`. At parameters zero all units are alike and
    z = x; fixed factors of their raw parameters make them part in training.

    Args:
        hidden: units K of the layer.
        bound: the largest \|log a\|.
        offset_bound: the largest \|b\|.
        min_slope: :math:`\epsilon`.

    Raises:
        ValueError: for fewer than one unit, a bound that is not positive, or a min_slope outside
            (0, 1).

    Source: Huang, Krueger, Lacoste, Courville (2018), "Neural autoregressive flows",
    arXiv:1804.00779, deep sigmoidal flow, without the :math:`\epsilon`.

    Example:
        >>> import torch
        >>> network = DeepSigmoidal(hidden=3)
        >>> params = torch.linspace(-1, 1, network.n_params).unsqueeze(-1)
        >>> z, _ = network.encode(torch.tensor([30.0]), params)
        >>> network.decode(z, params)[0]
        tensor([30.])
    """

    hidden: int = 8
    bound: float = 3.0
    offset_bound: float = 20.0
    min_slope: float = 0.01

    def __post_init__(self) -> None:
        check_whole(self, ("hidden",), 1)
        check_positive(self, ("bound", "offset_bound"))
        check_share(self, ("min_slope",))

    @property
    def n_params(self) -> int:
        """Raw weights, log-slopes and offsets of the units."""
        return 3 * self.hidden

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate the network."""
        log_weights, log_rates, offsets = self._parts(params)
        arguments = x * log_rates.exp() + offsets
        return sloped_logit(x, arguments, log_weights, log_rates, self.min_slope)

    def bracket(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """The roots of the units alone, least and greatest."""
        _, log_rates, offsets = self._parts(params)
        return sloped_bracket(z, log_rates.exp(), offsets, self.min_slope)

    def _parts(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        raw_weights, raw_rates, raw_offsets = params.unflatten(0, (3, self.hidden)).unbind(0)
        factors = unlike_factors(self.hidden, raw_weights)
        return (
            bounded(raw_weights, WEIGHT_BOUND, "softsign").log_softmax(0),
            bounded(raw_rates * factors, self.bound, "softsign"),
            bounded(raw_offsets * factors.flip(0), self.offset_bound, "softsign"),
        )
