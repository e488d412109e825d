"""Evidence lower bounds."""

import torch
from torch import Tensor


def elbo_enumerated(joint_log_prob: Tensor, log_q: Tensor) -> Tensor:
    r"""The evidence lower bound of a discrete latent, summed exactly over its values.

    .. math:: \mathrm{ELBO}(x) = \sum_k q(k \mid x)\,
        [\log \pi_k + \log p(x \mid k) - \log q(k \mid x)] \le \log p(x)

    Equality holds where q is the posterior p(k | x).

    Source: Pires, Figueiredo (2020), "Variational mixture of normalizing flows", arXiv:2009.00585.

    Args:
        joint_log_prob: (K, N), the first two terms.
        log_q: (K, N), normalised over K.

    Returns:
        (N,) in nats.

    Example:
        >>> joint = torch.log(torch.tensor([[0.1], [0.3]]))
        >>> elbo_enumerated(joint, torch.log_softmax(joint, 0)).exp()
        tensor([0.4000])
    """
    q = log_q.exp()
    # q = 0 carries no weight, whatever its logarithms are: 0 * inf would be NaN, and so would be
    # its gradient, unless the infinity is taken out before the product.
    return (q * torch.where(q > 0, joint_log_prob - log_q, 0.0)).sum(0)
