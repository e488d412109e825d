"""Mixtures of logistics as scalar maps."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from anabranch.functional import bounded
from anabranch.functional.mixture_cdf import mixture_logit
from anabranch.functional.numbers import check_positive, check_share, check_whole
from anabranch.transforms.scalar.base import NumericScalarMap


@dataclass(frozen=True)
class MixtureLogisticCDF(NumericScalarMap):
    r"""The logit of a mixture of logistic distributions, then a scale and a shift.

    .. math::
        z = e^{a} \big[(1 - \epsilon) \operatorname{logit} F(x) + \epsilon x\big] + b, \qquad
        F(x) = \sum_k w_k\, \sigma\!\big((x - \mu_k) / s_k\big)

    Far out it is a line. The small :math:`\epsilon` keeps its slope away from zero between
    components that stand far apart, where single precision could not tell one x from another.

    At parameters zero all components are alike and z = x. Fixed factors of the raw means and scales
    that differ from component to component make them part in training.

    Args:
        components: K.
        bound: the largest \|mean\|.
        log_scale_bound: the largest \|log s\|.
        scale_bound: the largest \|a\|.
        min_slope: :math:`\epsilon`.

    Raises:
        ValueError: for fewer than one component, a bound that is not positive, or a min_slope
            outside (0, 1).

    Source: Ho et al. (2019), "Flow++", arXiv:1902.00275, without the :math:`\epsilon`.

    Example:
        >>> mixture = MixtureLogisticCDF(components=3)
        >>> params = torch.linspace(-1, 1, mixture.n_params).unsqueeze(-1)
        >>> z, _ = mixture.encode(torch.tensor([0.5]), params)
        >>> mixture.decode(z, params)[0]
        tensor([0.5000])
    """

    components: int = 8
    bound: float = 5.0
    log_scale_bound: float = 3.0
    scale_bound: float = 1.0
    min_slope: float = 0.01

    def __post_init__(self) -> None:
        check_whole(self, ("components",), 1)
        check_positive(self, ("bound", "log_scale_bound", "scale_bound"))
        check_share(self, ("min_slope",))

    @property
    def n_params(self) -> int:
        """Raw weights, means and log-scales of the components, log-scale and shift of all."""
        return 3 * self.components + 2

    def encode(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """The mixture's logit, scaled and shifted."""
        log_weights, means, log_rates, log_scale, shift = self._parts(params)
        arguments = (x - means) * log_rates.exp()
        z, log_slope = sloped_logit(x, arguments, log_weights, log_rates, self.min_slope)
        return torch.addcmul(shift, z, log_scale.exp()), log_slope + log_scale

    def bracket(self, z: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """The roots of the components alone, least and greatest."""
        _, means, log_rates, log_scale, shift = self._parts(params)
        rates = log_rates.exp()
        goal = (z - shift) * torch.exp(-log_scale)
        return sloped_bracket(goal, rates, -means * rates, self.min_slope)

    def _parts(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        k = self.components
        raw_weights, raw_means, raw_rates, last = params.split([k, k, k, 2])
        factors = unlike_factors(k, params)
        return (
            bounded(raw_weights, WEIGHT_BOUND, "softsign").log_softmax(0),
            bounded(raw_means * factors, self.bound, "softsign"),
            bounded(raw_rates * factors.flip(0), self.log_scale_bound, "softsign"),
            bounded(last[0], self.scale_bound, "softsign"),
            last[1],
        )


# of raw logits: no component weighs less than e^-10 of another
WEIGHT_BOUND = 5.0


def unlike_factors(size: int, like: Tensor) -> Tensor:
    """Factors from a half to two, one for each component, that tell equal components apart.

    Components that start equal and get equal gradients would stay equal for ever.

    Returns:
        (size, 1, ...), with as many axes as ``like``.

    Example:
        >>> unlike_factors(3, torch.zeros(3))
        tensor([0.5000, 1.0000, 2.0000])
    """
    exponents = torch.linspace(-1, 1, size, dtype=like.dtype, device=like.device)
    return torch.exp2(exponents).view(-1, *[1] * (like.ndim - 1))


def sloped_logit(
    x: Tensor, arguments: Tensor, log_weights: Tensor, log_rates: Tensor, min_slope: float
) -> tuple[Tensor, Tensor]:
    r"""A mixture's logit with a little of x itself, :math:`(1 - \epsilon) z + \epsilon x`."""
    z, log_slope = mixture_logit(arguments, log_weights, log_rates)
    least = torch.full_like(log_slope, math.log(min_slope))
    log_slope = torch.logaddexp(log_slope + math.log1p(-min_slope), least)
    return torch.lerp(z, x.expand_as(z), min_slope), log_slope


def sloped_bracket(
    goal: Tensor, rates: Tensor, offsets: Tensor, min_slope: float
) -> tuple[Tensor, Tensor]:
    """Least and greatest root of the components alone: the mixture's root is between them."""
    steepness = torch.lerp(rates, torch.ones_like(rates), min_slope)
    roots = (goal - (1 - min_slope) * offsets) / steepness
    return roots.amin(0), roots.amax(0)
