"""What a decoder's output says of the data: p(x|z) of columns."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from anabranch.functional import affine_normal_log_prob, softplus_normal_log_prob
from anabranch.functional.draws import normal_draws


class Likelihood(NamedTuple):
    r"""A family of distributions of independent features, given the output of a network.

    Attributes:
        n_parameters: outputs per feature.
        log_prob: of columns x (D, N), given parameters (P D, \*lead, N) and the least standard
            deviation: (\*lead, N) in nats.
        mean: of parameters along the first axis.
        sample: of parameters along the first axis, with the least standard deviation and a source.
        affine_log_prob: the same as ``log_prob`` for the last layer of a network in one, of x, what
            enters the layer, its weight and bias, and the least standard deviation; None where
            nothing is gained by it.
    """

    n_parameters: int
    log_prob: Callable[[Tensor, Tensor, Tensor], Tensor]
    mean: Callable[[Tensor], Tensor]
    sample: Callable[[Tensor, Tensor, torch.Generator | None], Tensor]
    affine_log_prob: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor] | None = None


def _gaussian_mean(parameters: Tensor) -> Tensor:
    return parameters.chunk(2)[0]


def _gaussian_sample(
    parameters: Tensor, floor: Tensor, generator: torch.Generator | None
) -> Tensor:
    loc, raw = parameters.chunk(2)
    return loc + (softplus(raw) + floor) * normal_draws(tuple(loc.shape), loc, generator)


def _bernoulli_log_prob(x: Tensor, logits: Tensor, floor: Tensor) -> Tensor:
    x = x.view(len(x), *(1,) * (logits.ndim - 2), -1)
    return (x * logits - softplus(logits)).sum(0)


def _bernoulli_sample(logits: Tensor, floor: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.bernoulli(torch.sigmoid(logits), generator=generator)


_LIKELIHOODS = {
    "bernoulli": Likelihood(1, _bernoulli_log_prob, torch.sigmoid, _bernoulli_sample),
    "gaussian": Likelihood(
        2, softplus_normal_log_prob, _gaussian_mean, _gaussian_sample, affine_normal_log_prob
    ),
}
LIKELIHOODS = tuple(_LIKELIHOODS)


def make_likelihood(name: str) -> Likelihood:
    """The family of that name: "gaussian", or "bernoulli" for values in [0, 1].

    Raises:
        ValueError: for an unknown name; lists the known ones.

    Example:
        >>> make_likelihood("bernoulli").mean(torch.zeros(1, 2))
        tensor([[0.5000, 0.5000]])
    """
    if name not in _LIKELIHOODS:
        raise ValueError(f"likelihood must be one of {LIKELIHOODS}, got {name!r}")
    return _LIKELIHOODS[name]
