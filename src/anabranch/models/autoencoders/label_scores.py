"""How likely each label is under the model itself, whatever q(y|x) says."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from anabranch.functional.draws import normal_draws
from anabranch.models.autoencoders.nvisa import GaussianMixtureVAE
from anabranch.objectives import iwae
from anabranch.objectives.mixture_bounds import log_weights


@torch.no_grad()
def label_log_prob(
    model: GaussianMixtureVAE,
    x: Tensor,
    n_samples: int = 100,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Estimates of log p(x, y) from below, by importance sampling for each label.

    .. math:: \log \frac1S \sum_s \frac{p(x, y, z_s)}{q(z_s \mid y, x)}, \qquad
        z_s \sim q(z \mid y, x)

    All rows and labels share their noise. A softmax over y estimates p(y|x), with which q(y|x) can
    be compared; where q(z|y,x) is far from p(z|y,x), it says as much of the one as of the other.

    Source: Burda, Grosse, Salakhutdinov (2016), "Importance weighted autoencoders",
    arXiv:1509.00519.

    Args:
        model: the model.
        x: rows (N, D).
        n_samples: S.
        generator: source of the noise; None for the same noise at every call.

    Returns:
        (K, N) in nats.

    Example:
        >>> from anabranch.models import nvisa
        >>> model = nvisa(4, 3, latent=2, hidden=[8], seed=0)
        >>> label_log_prob(model, torch.zeros(5, 4)).shape
        torch.Size([3, 5])
    """
    if generator is None:
        generator = torch.Generator(x.device).manual_seed(0)
    noise = normal_draws((model.latent, n_samples, 1), x, generator)
    certain = x.new_zeros(model.n_components, len(x))
    labels = one_hot(torch.arange(model.n_components, device=x.device)).to(x.dtype)
    return torch.stack(
        [
            iwae(log_weights(model, x.mT, certain, y.expand(-1, n_samples, len(x)), noise)[0])
            for y in labels.unflatten(1, (-1, 1, 1))
        ]
    )
