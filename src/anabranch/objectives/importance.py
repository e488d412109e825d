"""Bounds of the log-likelihood from several samples of the latent variables."""

import math

import torch
from torch import Tensor


def iwae(log_weights: Tensor) -> Tensor:
    r"""The importance-weighted bound of M samples.

    .. math:: L^M = \log \frac1M \sum_m w_m, \qquad \log w_m = \log p(x, h_m) - \log q(h_m \mid x)

    In expectation it is between the evidence lower bound (M = 1) and :math:`\log p(x)`, and rises
    with M.

    Source: Burda, Grosse, Salakhutdinov (2015), "Importance weighted autoencoders",
    arXiv:1509.00519.

    Args:
        log_weights: (M, \*batch), the samples on the leading axis.

    Returns:
        The bound, (\*batch), in nats.

    Example:
        >>> iwae(torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
        tensor([0., 1.])
    """
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))


def vimco(log_weights: Tensor, score: Tensor) -> Tensor:
    r"""A surrogate of the importance-weighted bound with the gradient of VIMCO.

    .. math:: L^M + \sum_m \operatorname{stop}(L^M - L^M_{-m}) \log q(h_m \mid x)

    :math:`L^M_{-m}` is the bound with :math:`\log w_m` replaced by the mean of the other
    :math:`\log w`, so that the rest of the samples are the baseline of each; the gradient is
    unbiased. Samples that are not reparameterised enter ``score``: all of h (the original), or the
    discrete part alone where the continuous part is reparameterised.

    Source: Mnih, Rezende (2016), "Variational inference for Monte Carlo objectives",
    arXiv:1602.06725.

    Args:
        log_weights: (M, \*batch), M >= 2.
        score: (M, \*batch), log-probabilities under q of what was sampled without gradients.

    Returns:
        What is maximised, (\*batch); its value is no bound, take `iwae` for that.

    Raises:
        ValueError: for fewer than two samples, or unlike shapes.

    Example:
        >>> vimco(torch.zeros(3, 2), torch.full((3, 2), -1.0))
        tensor([0., 0.])
    """
    _check_samples(log_weights, score, at_least=2)
    signal = learning_signals(log_weights.detach())
    return iwae(log_weights) + (signal * score).sum(0)


def learning_signals(log_weights: Tensor) -> Tensor:
    r"""What each sample adds to the bound, :math:`L^M - L^M_{-m}`, (M, \*batch).

    Example:
        >>> learning_signals(torch.tensor([0.0, 0.0, 3.0]))
        tensor([-0.1464, -0.1464,  1.9963])
    """
    nothing = torch.full_like(log_weights[:1], -torch.inf)
    before = torch.cat((nothing, log_weights[:-1].logcumsumexp(0)))
    after = torch.cat((log_weights[1:].flip(0).logcumsumexp(0).flip(0), nothing))
    mean = (log_weights.sum(0) - log_weights) / (len(log_weights) - 1)
    # sums over the others from both sides: a difference from the total would cancel
    replaced = torch.logaddexp(torch.logaddexp(before, after), mean)
    return torch.logsumexp(log_weights, 0) - replaced


def nvil(
    log_weights: Tensor, score: Tensor, baseline: Tensor, scale: float | Tensor = 1.0
) -> Tensor:
    r"""A surrogate of the evidence lower bound whose gradient is NVIL's.

    .. math:: f + \operatorname{stop}\!\left(\frac{f - C(x)}{\max(1, s)}\right) \log q(h \mid x)
        - \tfrac12 (\operatorname{stop}(f) - C(x))^2, \qquad f = \log w

    The baseline C, a network of x or a number, learns to predict f by least squares, from the last
    term alone. With M samples each is one estimate, and their mean is taken.

    Source: Mnih, Gregor (2014), "Neural variational inference and learning in belief networks",
    arXiv:1402.0030.

    Args:
        log_weights: (M, \*batch).
        score: (M, \*batch), log-probabilities under q of what was sampled without gradients.
        baseline: what broadcasts to (M, \*batch).
        scale: s, a running standard deviation of f - C.

    Returns:
        What is maximised, (\*batch); its value is no bound.

    Raises:
        ValueError: for unlike shapes.

    Example:
        >>> nvil(torch.zeros(1, 2), torch.full((1, 2), -1.0), torch.ones(2))
        tensor([0.5000, 0.5000])
    """
    _check_samples(log_weights, score, at_least=1)
    error = log_weights.detach() - baseline
    signal = error.detach() / torch.as_tensor(scale).clamp_min(1.0)
    return (log_weights + signal * score - 0.5 * error.square()).mean(0)


def _check_samples(log_weights: Tensor, score: Tensor, *, at_least: int) -> None:
    if log_weights.shape != score.shape:
        raise ValueError(
            f"log_weights and score must have one shape, got {tuple(log_weights.shape)} and "
            f"{tuple(score.shape)}"
        )
    if len(log_weights) < at_least:
        raise ValueError(f"at least {at_least} samples are needed, got {len(log_weights)}")
